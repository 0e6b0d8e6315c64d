"""Random changes of images and their objects; their settings are in :mod:`sightline.config.augmentation`."""
