"""The steps of a case's life: judge it, submit its decision, look whether its pause has ended."""
