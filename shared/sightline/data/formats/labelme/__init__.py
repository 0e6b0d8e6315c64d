"""Reads a folder of labelme files as labeled images."""
