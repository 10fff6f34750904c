"""Webhook secrets in a file, read again when it changes: rotation without a restart."""

from pathlib import Path

from pydantic import SecretStr

from receiver.secret_lines import Secrets, parsed_secrets

_Stamp = tuple[int, int, int]


class SecretFile:
    """One file of secrets, an entry a line (or separated by commas)."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._seen: _Stamp | None = None

    def read_if_changed(self) -> Secrets | None:
        """Return what the file says now, or nothing if it is as it was.

        Raises:
            OSError: It can't be read.
            ValueError: An entry can't be read, or there is none, as while somebody is writing the file. The
                next call reads it again.

        """
        stamp = self._stamp()
        if stamp == self._seen:
            return None
        text = self._path.read_text(encoding="utf-8")
        entries = [SecretStr(each.strip()) for each in text.replace("\n", ",").split(",") if each.strip()]
        if not entries:
            raise ValueError("the file of webhook secrets is empty")
        secrets = parsed_secrets(entries)
        self._seen = stamp
        return secrets

    def _stamp(self) -> _Stamp:
        # The inode too: a mounted secret is replaced by moving a link, and may keep its size and time.
        status = self._path.stat()
        return status.st_ino, status.st_mtime_ns, status.st_size
