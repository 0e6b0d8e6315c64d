"""Network building blocks and the model file."""
