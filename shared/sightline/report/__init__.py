"""Plots, drawn images and HTML pages."""
