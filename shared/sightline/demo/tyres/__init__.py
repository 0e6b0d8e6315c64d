"""A generator of close-up images of tyres, good or with a crack, a cut or a bulge, in one folder per class."""
