"""Tools that make a new dataset from another: sample, rename, split, convert, crop, synchronize, never overwriting."""
