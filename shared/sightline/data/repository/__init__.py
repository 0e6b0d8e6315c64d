"""The data repository: versions added, checked out, taken back."""
