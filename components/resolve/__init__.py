"""The component of the step resolve."""
