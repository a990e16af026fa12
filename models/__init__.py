"""The models: one folder each, importing only gmbench.nn and gmbench.core."""
