"""Git operations of Sightline: branches, references, clones."""
