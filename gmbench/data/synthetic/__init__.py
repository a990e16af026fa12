"""The built-in world: invented names with drawn looks, written in the layout of the real data."""
