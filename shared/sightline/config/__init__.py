"""Decodes recipes and overrides to one immutable configuration."""
