"""What comes in: reader, candidate regions, dataset, datamodule, caches, the built-in world."""
