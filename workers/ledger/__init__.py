"""The append-only record, and the only SQL."""
