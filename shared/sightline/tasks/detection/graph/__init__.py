"""Detectors as graphs for export: whole networks with fixed shapes of their outputs, and no loops over images.

torchvision's detectors loop over images and filter boxes, which ``torch.export`` cannot trace.  Here removed boxes stay
in place with a score of -1, so every shape follows from the shape of the input, and a batch is computed at once.
"""
