"""A generator of images of articulated figures, annotated with polygons and keypoints in labelme's format."""
