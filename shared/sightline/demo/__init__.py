"""The plate generator."""
