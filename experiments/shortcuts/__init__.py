"""How much of a score stands without the picture, the known names or the telling words."""
