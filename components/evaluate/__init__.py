"""The component of the step evaluate."""
