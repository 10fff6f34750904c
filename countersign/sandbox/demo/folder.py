"""The folder of a run: the ledger, the queue's files, the logs. It goes when the run is over."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


class FolderInUse(Exception):
    """The folder that was asked for has something in it. The message says what to do."""


@contextmanager
def run_folder(keep: Path | None) -> Iterator[Path]:
    """Make the folder of a run: the one to `keep`, or a temporary one that is removed at the end.

    Raises:
        FolderInUse: The folder to keep is not empty: an old ledger in it would be taken for the new one.

    """
    if keep is None:
        folder = Path(tempfile.mkdtemp(prefix="countersign-demo-"))
        try:
            yield folder
        finally:
            shutil.rmtree(folder)
        return
    keep.mkdir(parents=True, exist_ok=True)
    if any(keep.iterdir()):
        raise FolderInUse(f"{keep} is not empty: name a new folder, so that no old ledger gets into this run")
    yield keep.resolve()
