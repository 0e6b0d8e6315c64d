"""The pages of runs and steps."""
