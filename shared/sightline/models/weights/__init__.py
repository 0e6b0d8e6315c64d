"""Pretrained weights: where they come from, how their tensors are named here, and what of them a network takes."""
