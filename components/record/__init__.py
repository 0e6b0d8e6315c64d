"""The component of the step record."""
