"""What DVC keeps: objects, lists of files, remotes."""
