"""What the API's modules share: the request's type and the scopes that calls need."""

from typing import Any

from litestar import Request
from litestar.datastructures import State

from countersign.sandbox.gate import NEEDS
from countersign.sandbox.identity import Caller

Call = Request[Caller, Any, State]
"""A request that the gate has let through; `user` is its caller."""


def needs(*scopes: str) -> dict[str, Any]:
    """Return the `opt` of a handler whose caller must have one of these scopes."""
    return {NEEDS: scopes}
