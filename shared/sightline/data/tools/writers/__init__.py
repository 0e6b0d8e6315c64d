"""Writers of annotation formats: from labeled images in memory to files, with what each format cannot hold."""
