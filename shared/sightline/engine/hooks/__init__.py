"""Optional parts of the training loop, by name in ``train.hooks``."""
