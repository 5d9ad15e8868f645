"""Temporary folders that pytest's own cannot replace: other users enter them, or they are there before any test."""

import contextlib
import os
import re
import shutil
import tempfile
from pathlib import Path

PREFIX = "portus-test-"


def temporary_folder(kind: str) -> Path:
    """A new folder, named after its process, so that a later run knows whether somebody uses it still."""
    return Path(tempfile.mkdtemp(prefix=f"{PREFIX}{kind}-{os.getpid()}-"))


def remove_abandoned() -> None:
    """Remove what runs left that were killed; a MariaDB alone is 100 MB."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        owner = re.match(rf"{PREFIX}\w+-(\d+)-", folder.name)
        if owner and not _is_alive(int(owner[1])):
            shutil.rmtree(folder, ignore_errors=True)


def _is_alive(pid: int) -> bool:
    with contextlib.suppress(PermissionError):  # somebody else's process
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
    return True
