"""The models: one folder each, importing only gmbench.nn, gmbench.tensors and gmbench.boxes."""
