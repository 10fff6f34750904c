"""Reading the body of an answer: bounded in size and in time, decoded exactly, never quoted in an error."""

import time
from decimal import Decimal
from typing import Any

import httpx
import msgspec

LARGEST_BODY = 8 * 1024 * 1024
_JSON = msgspec.json.Decoder(float_hook=Decimal)


class BodyUnreadable(Exception):
    """The body was cut off (`cut`: another try may bring it whole), too long, too slow, or is not JSON."""

    def __init__(self, reason: str, *, cut: bool = False) -> None:
        super().__init__(reason)
        self.cut = cut


def read_json(response: httpx.Response, *, until: float) -> Any:  # noqa: ANN401 - any JSON value.
    """Read a streamed answer's body as JSON; a number with a fraction becomes a `Decimal`.

    `until` is a time of `time.monotonic`: httpx's own read timeout bounds only the wait for each piece, so a
    body that drips would hold a thread for hours.

    Raises:
        BodyUnreadable: It can't be had, for whatever reason.

    """
    try:
        return _JSON.decode(_read(response, until))
    except (httpx.HTTPError, httpx.StreamError) as error:
        raise BodyUnreadable(f"the body ended early ({type(error).__name__})", cut=True) from None
    except (ValueError, RecursionError, ArithmeticError):
        raise BodyUnreadable("the body is not JSON") from None


def _read(response: httpx.Response, until: float) -> bytes:
    pieces, length = [], 0
    for piece in response.iter_bytes():
        length += len(piece)
        if length > LARGEST_BODY:
            raise BodyUnreadable("the body is too long")
        if time.monotonic() > until:
            raise BodyUnreadable("the body came too slowly")
        pieces.append(piece)
    return b"".join(pieces)
