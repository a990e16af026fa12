"""How anything learns and answers: matcher, losses, decoding, the training module."""
