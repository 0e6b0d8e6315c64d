"""labelme: a folder of its files -> labelled images."""
