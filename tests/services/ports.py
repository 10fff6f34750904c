"""Free ports on loopback, below the range from which the kernel takes ports for outgoing connections."""

import random
import socket
from contextlib import closing

_LOWEST, _HIGHEST = 20_000, 32_000
_given: set[int] = set()


def free_port() -> int:
    """Return a port of 127.0.0.1 that nobody listens on. One process never gets the same one twice."""
    start = random.SystemRandom().randrange(_LOWEST, _HIGHEST)
    for offset in range(_HIGHEST - _LOWEST):
        port = _LOWEST + (start - _LOWEST + offset) % (_HIGHEST - _LOWEST)
        if port not in _given and _is_free(port):
            _given.add(port)
            return port
    raise OSError("no free port on 127.0.0.1: too many servers are running on this machine")


def _is_free(port: int) -> bool:
    with closing(socket.socket()) as candidate:
        # As servers do: a port whose last connections only wait for their time-out is free.
        candidate.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            candidate.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def is_listening(port: int) -> bool:
    """Say whether something accepts connections on this port of 127.0.0.1."""
    try:
        with closing(socket.create_connection(("127.0.0.1", port), timeout=1)):
            return True
    except OSError:
        return False
