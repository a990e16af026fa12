"""A trained model outside its run: exported, loaded again without running foreign code, asked."""
