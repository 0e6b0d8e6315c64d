"""Classification: the classes of whole images, in one label set or several."""
