"""The public process: takes a webhook in, verifies it, enqueues it, answers."""
