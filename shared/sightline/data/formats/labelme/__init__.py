"""labelme: from a folder of its files to labeled images."""
