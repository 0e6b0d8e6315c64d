"""Generators of synthetic images with annotations: license plates, figures, tyres and faces."""
