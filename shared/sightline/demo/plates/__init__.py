"""A generator of images of Korean-style license plates, annotated with labelme."""
