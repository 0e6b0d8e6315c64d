"""Suggested labels in labelme files, and what people made of them."""
