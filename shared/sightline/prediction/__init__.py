"""Inference with a trained model: finding the model file and the images, and writing the predictions."""
