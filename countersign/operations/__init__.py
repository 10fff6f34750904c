"""The logic of the operating commands."""
