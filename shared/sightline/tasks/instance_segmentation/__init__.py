"""Instance segmentation with Mask R-CNN."""
