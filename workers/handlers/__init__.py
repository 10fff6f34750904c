"""The built-in handlers: they come in through the same door as everyone else's."""
