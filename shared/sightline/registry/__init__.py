"""Published results, selected models and champions."""
