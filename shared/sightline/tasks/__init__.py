"""Task-specific code, one folder per task."""
