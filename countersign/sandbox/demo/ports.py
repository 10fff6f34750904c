"""Free ports on this machine, so that a demo never collides with what runs here already."""

import random
import socket

HOST = "127.0.0.1"

_LOWEST, _HIGHEST = 10_000, 32_000
"""Below the range that systems use for outgoing connections: nobody takes one there by chance."""

_TRIES = 200


class NoFreePort(Exception):
    """No port could be found. The message says what was tried."""


def free_port() -> int:
    """Find a port of the loopback address on which nothing listens now.

    Raises:
        NoFreePort: None of many tries was free.

    """
    for _ in range(_TRIES):
        port = random.SystemRandom().randint(_LOWEST, _HIGHEST)
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port
    raise NoFreePort(f"no free port between {_LOWEST} and {_HIGHEST} on {HOST}: stop what listens there")
