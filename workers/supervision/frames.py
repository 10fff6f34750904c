"""Frames: one JSON text each, its length before it. This is all that crosses between worker and handler."""

import struct
from typing import BinaryIO

HEADER = struct.Struct(">I")

MAX_ANSWER_BYTES = 128 * 1024
"""No answer is longer: 64 KiB of evidence, a note, and the words around them."""


class FrameTooLong(Exception):
    """The other side announced more than it may send."""


def framed(body: bytes) -> bytes:
    """Return `body` as it goes over the pipe."""
    return HEADER.pack(len(body)) + body


def read_frame(stream: BinaryIO) -> bytes | None:
    """Wait for the next frame; None when the other side is gone."""
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        return None
    (length,) = HEADER.unpack(header)
    body = stream.read(length)
    return body if len(body) == length else None


class Assembly:
    """Puts the frames of a non-blocking pipe together from the pieces in which they come."""

    def __init__(self, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self._pieces = bytearray()
        self._max_bytes = max_bytes

    def add(self, piece: bytes) -> None:
        """Take the next piece in."""
        self._pieces += piece

    def take(self) -> bytes | None:
        """Return the next whole frame, or None if there is none yet.

        Raises:
            FrameTooLong: It is longer than it may be; nothing after it can be trusted.

        """
        if len(self._pieces) < HEADER.size:
            return None
        (length,) = HEADER.unpack_from(self._pieces)
        if length > self._max_bytes:
            raise FrameTooLong(f"a frame of {length} bytes, where {self._max_bytes} are allowed")
        end = HEADER.size + length
        if len(self._pieces) < end:
            return None
        body = bytes(self._pieces[HEADER.size : end])
        del self._pieces[:end]
        return body
