"""All webhook secrets that are accepted now, from the settings, from a file and from the sealed store.

They are read at start, looked at every second, and once more at a mismatch, though not more often than once a
second: whoever sends wrong signatures must not make us read. What can't be read keeps its last good value.
"""

import asyncio
import time

from countersign.keystone.signature import WebhookSecret
from receiver.secret_file import SecretFile
from receiver.secret_lines import Secrets
from receiver.secret_store import SecretStore, Stored
from receiver.tally import Tally

REREAD_SECONDS = 1.0

ALL_HAVE_READ_SECONDS = 1.5
"""After this long every receiver that runs, and reaches the store, knows what was put there."""

STORE_TIMEOUT_SECONDS = 1.0


class Keyring:
    """The secrets by endpoint. `fixed` are those of the settings, which a file's replace."""

    def __init__(
        self, fixed: Secrets, tally: Tally, file: SecretFile | None = None, store: SecretStore | None = None
    ) -> None:
        self._fixed = fixed
        self._file = file
        self._store = store
        self._tally = tally
        self._stored = Stored({}, frozenset(), 0)
        self._store_is_unread = store is not None
        self._all: dict[str, tuple[WebhookSecret, ...]] = {}
        self._reading: asyncio.Task[None] | None = None
        self._read_at = -REREAD_SECONDS
        self._combine()

    def secrets(self, endpoint: str) -> tuple[WebhookSecret, ...]:
        """Return the secrets of an endpoint, none if it is not known."""
        return self._all.get(endpoint, ())

    def is_rotating(self, endpoint: str) -> bool:
        """Say whether a delivery to this endpoint may be signed with a secret that is not here yet."""
        return endpoint in self._stored.rotating

    @property
    def is_uncertain(self) -> bool:
        """Whether the store could not be read the last time, so that secrets may be missing here."""
        return self._store_is_unread

    async def reread(self) -> None:
        """Read everything anew, if that was not done within the last second; wait if it is being done now."""
        if self._reading is None:
            if time.monotonic() - self._read_at < REREAD_SECONDS:
                return
            self._reading = asyncio.create_task(self._read())
        # Shielded: that one caller goes away must not end the reading for the others.
        await asyncio.shield(self._reading)

    async def stay_fresh(self) -> None:
        """Look every second, for ever: a secret that was taken out must not stay accepted."""
        while True:
            await asyncio.sleep(max(0.0, self._read_at + REREAD_SECONDS - time.monotonic()))
            await self.reread()

    async def _read(self) -> None:
        try:
            self._read_file()
            await self._read_store()
            self._combine()
        finally:
            self._read_at = time.monotonic()
            self._reading = None

    def _read_file(self) -> None:
        if self._file is None:
            return
        try:
            changed = self._file.read_if_changed()
        except (OSError, ValueError) as error:
            self._tally.secrets_read("file", error)
            return
        if changed is not None:
            self._fixed = changed
            self._tally.secrets_read("file")

    async def _read_store(self) -> None:
        if self._store is None:
            return
        try:
            async with asyncio.timeout(STORE_TIMEOUT_SECONDS):
                self._stored = await self._store.read()
        except Exception as error:  # noqa: BLE001 - whatever it is, the last good secrets stay in use.
            self._store_is_unread = True
            self._tally.secrets_read("store", error)
            return
        self._store_is_unread = False
        self._tally.secrets_read("store")
        self._tally.broken_secrets(self._stored.broken)

    def _combine(self) -> None:
        self._all = {
            endpoint: (*self._fixed.get(endpoint, ()), *self._stored.secrets.get(endpoint, ()))
            for endpoint in {*self._fixed, *self._stored.secrets}
        }
