"""Temporary folders that do not stay behind after a kill: the next start removes them."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from contextlib import suppress

PREFIXES = ("jsma-slides-", "jsma-cucim-")
_LOCK = "lock"  # held while the folder's owner lives; a process id would be that of another process one day
_UNLOCKED_S = 600.0  # an empty folder without a lock is being made; an older one was left by a kill
_swept: set[str] = set()


class Folder:
    """A new folder. Folders whose owners are gone are removed first, once per process."""

    def __init__(self, prefix: str) -> None:
        _sweep(tempfile.gettempdir())
        while True:
            self.path = tempfile.mkdtemp(prefix=prefix)
            try:
                self._lock = os.open(os.path.join(self.path, _LOCK), os.O_CREAT | os.O_RDWR, 0o600)
            except FileNotFoundError:  # another start removed it, because this process was stopped for long
                continue
            fcntl.flock(self._lock, fcntl.LOCK_EX)
            if os.fstat(self._lock).st_nlink:
                break
            os.close(self._lock)  # another start removed it before it was locked: try once more

    def remove(self) -> None:
        """Delete it; it is no error if it is gone already."""
        shutil.rmtree(self.path, ignore_errors=True)
        if self._lock >= 0:
            os.close(self._lock)
            self._lock = -1


def _sweep(place: str) -> None:
    if place in _swept:
        return
    _swept.add(place)
    with suppress(OSError), os.scandir(place) as entries:
        found = [e.path for e in entries if e.name.startswith(PREFIXES) and e.is_dir(follow_symlinks=False)]
        for path in found:
            with suppress(OSError):  # another user's
                _sweep_one(path)


def _sweep_one(path: str) -> None:
    try:
        lock = os.open(os.path.join(path, _LOCK), os.O_RDWR | os.O_NOFOLLOW)
    except FileNotFoundError:
        if time.time() - os.stat(path).st_mtime > _UNLOCKED_S:
            os.rmdir(path)  # it fails where anything is inside
        return
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(path, ignore_errors=True)
    finally:
        os.close(lock)
