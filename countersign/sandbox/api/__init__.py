"""The platform's HTTP calls, one module a subject; each only translates between HTTP and that subject."""
