"""Sealing: secrets and personal data at rest, AES-256-GCM under a rotatable list of keys.

The first key of a list seals, every key opens. What a sealed value belongs to (an endpoint's name and its
expiry, a person's record) goes in as associated data, so that a value copied to another place does not open.
"""

import base64
import hashlib
import os
from collections.abc import Sequence

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

KEY_BYTES = 32
_NONCE_BYTES = 12
_KEY_ID_BYTES = 4
_VERSION = b"\x01"


class SealingKeyInvalid(ValueError):
    """A key is not 32 bytes in base64. The message never contains the key."""


class SealBroken(Exception):
    """A sealed value does not open: another key sealed it, it belongs elsewhere, or it was changed."""


class Sealer:
    """Seals with the first of its keys and opens with any of them."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys:
            raise SealingKeyInvalid("no sealing key is configured: give at least one")
        self._sealing = _key_id(keys[0])
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}

    def __repr__(self) -> str:
        """Show how many keys there are, never a key."""
        return f"Sealer({len(self._ciphers)} keys)"

    def seal(self, plain: bytes, belongs_to: str) -> bytes:
        """Seal `plain` so that it opens only with the same `belongs_to`."""
        nonce = os.urandom(_NONCE_BYTES)
        sealed = self._ciphers[self._sealing].encrypt(nonce, plain, belongs_to.encode())
        return _VERSION + self._sealing + nonce + sealed

    def open(self, sealed: bytes, belongs_to: str) -> bytes:
        """Open what `seal` made.

        Raises:
            SealBroken: It does not open with any of the keys, or does not belong to `belongs_to`.

        """
        key_id = sealed[1 : 1 + _KEY_ID_BYTES]
        cipher = self._ciphers.get(key_id)
        if sealed[:1] != _VERSION or cipher is None:
            raise SealBroken("sealed with a key that is not configured here: add the old key to the list")
        start = 1 + _KEY_ID_BYTES
        nonce = sealed[start : start + _NONCE_BYTES]
        try:
            return cipher.decrypt(nonce, sealed[start + _NONCE_BYTES :], belongs_to.encode())
        except (InvalidTag, ValueError):
            raise SealBroken("the sealed value was changed, or belongs to something else") from None


def derived_key(secret: bytes, purpose: str) -> bytes:
    """Derive a sealing key for one purpose from a secret (HKDF-SHA256, RFC 5869)."""
    return HKDF(algorithm=SHA256(), length=KEY_BYTES, salt=None, info=purpose.encode()).derive(secret)


def decoded_key(text: str) -> bytes:
    """Read one key as the settings carry it: 32 bytes in base64 (`countersign keygen` makes one).

    Raises:
        SealingKeyInvalid: It is anything else.

    """
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        key = b""
    if len(key) != KEY_BYTES:
        raise SealingKeyInvalid("a key must be 32 random bytes in base64: `countersign keygen` prints one")
    return key


def new_key() -> str:
    """Make a new key in the form that the settings take."""
    return base64.b64encode(os.urandom(KEY_BYTES)).decode()


def _key_id(key: bytes) -> bytes:
    return hashlib.sha256(b"countersign key id" + key).digest()[:_KEY_ID_BYTES]
