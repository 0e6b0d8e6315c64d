"""Recipes and overrides, decoded into one frozen object."""
