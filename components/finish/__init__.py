"""The component of the last task, finish."""
