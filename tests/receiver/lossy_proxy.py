"""A TCP proxy that can lose a reply: the command was executed, and nobody hears of it."""

import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress


class LossyProxy:
    """Forwards to `port`. Told to, it drops the connection in place of the next reply to a command that has
    `needle` in it."""

    def __init__(self, port: int) -> None:
        self._target = ("127.0.0.1", port)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._needle: bytes | None = None
        self.lost = threading.Event()
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"

    def lose_the_next_reply_to(self, needle: bytes) -> None:
        self.lost.clear()
        self._needle = needle

    def close(self) -> None:
        for each in [self._listener, *self._open]:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(self._target)
                self._open += [client, server]
                losing = threading.Event()
                threading.Thread(target=self._up, args=(client, server, losing), daemon=True).start()
                threading.Thread(target=self._down, args=(client, server, losing), daemon=True).start()

    def _up(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while part := client.recv(65536):
                if self._needle is not None and self._needle in part:
                    self._needle = None
                    losing.set()
                server.sendall(part)

    def _down(self, client: socket.socket, server: socket.socket, losing: threading.Event) -> None:
        with suppress(OSError):
            while part := server.recv(65536):
                if losing.is_set():
                    self.lost.set()
                    break
                client.sendall(part)
        for each in (client, server):
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)


@contextmanager
def lossy_proxy(port: int) -> Iterator[LossyProxy]:
    proxy = LossyProxy(port)
    try:
        yield proxy
    finally:
        proxy.close()
