"""The component of the step test."""
