"""Git as Sightline uses it: branches, references, clones."""
