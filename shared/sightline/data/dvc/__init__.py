"""DVC data: objects, lists of files, remotes."""
