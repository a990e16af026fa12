"""Parts that any model may use: text and vision encoders, layers."""
