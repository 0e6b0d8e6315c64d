"""The data repository: adding, checking out and removing dataset versions."""
