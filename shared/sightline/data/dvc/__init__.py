"""Data stored by DVC: objects, file lists, remotes."""
