"""What we know of the platform: events, signatures, tokens, its API and its errors."""
