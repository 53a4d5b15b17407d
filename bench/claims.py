"""A run belongs to one process at a time.

A file beside the run says which. Only one process can make it, and it is touched as long as its owner works.
"""

from __future__ import annotations

import fcntl
import json
import os
import platform
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psutil

from bench import files

TOUCH_S = 20.0  # how often a claim is touched
STALE_S = 600.0  # a claim of another machine that was not touched for so long is given up
SUFFIX = ".claim"


@dataclass(frozen=True)
class Owner:
    """Who holds a claim.

    Attributes:
        pid: of the process.
        host: of the machine, see `bench.files.host`.
        node: name of the machine, for people.
        started: when the process began, in seconds since 1970.
    """

    pid: int
    host: str
    node: str
    started: float

    @classmethod
    def this(cls) -> Owner:
        """This process."""
        return cls(os.getpid(), files.host(), platform.node(), psutil.Process().create_time())

    @property
    def words(self) -> str:
        """For a line on the screen."""
        return f"process {self.pid} on {self.node}"


class Claims:
    """The claims of this process on the runs of one folder. Free after `close`, or when the process has ended."""

    def __init__(self, out: Path):
        self.out, self._held = out, set[Path]()
        self._stop, self._touching = threading.Event(), None

    def take(self, name: str) -> Owner | None:
        """Claim a run.

        A claim is stale, and taken over, where its process on this machine has ended, or where a claim of another
        machine has not been touched for `STALE_S`.

        Args:
            name: of the run.

        Returns:
            None where the run is ours now, otherwise who has it.
        """
        path = self.out / f"{name}{SUFFIX}"
        self.out.mkdir(parents=True, exist_ok=True)
        with self._alone() as now:
            if path in self._held:
                return None
            if (owner := holder(path, now)) is not None:
                return owner
            path.unlink(missing_ok=True)
            try:
                handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL)
            except FileExistsError:  # of another machine, where the file system locks nothing
                return holder(path, now) or Owner(0, "", "another machine", 0.0)
            try:
                with os.fdopen(handle, "w") as file:
                    json.dump(vars(Owner.this()), file)
            except OSError as error:  # a full disk: nobody holds it
                path.unlink(missing_ok=True)
                raise OSError(error.errno, os.strerror(error.errno or 0), str(path)) from error
        self._held.add(path)
        if self._touching is None:
            self._touching = threading.Thread(target=self._touch, daemon=True, name="claims")
            self._touching.start()
        return None

    def mine(self, name: str) -> bool:
        """Whether the claim is still ours. A process that was stopped for long may have lost it."""
        path = self.out / f"{name}{SUFFIX}"
        return path in self._held and _read(path) == Owner.this()

    def release(self, name: str) -> None:
        """Give the run up."""
        path = self.out / f"{name}{SUFFIX}"
        if self.mine(name):
            path.unlink(missing_ok=True)
        self._held.discard(path)

    def close(self) -> None:
        """Give every run up."""
        self._stop.set()
        for path in list(self._held):
            with suppress(OSError):
                self.release(path.name.removesuffix(SUFFIX))

    @contextmanager
    def _alone(self) -> Iterator[float]:
        """Let nobody else decide about claims in the body; yields the time by the clock of the file system."""
        lock = self.out / ".claims.lock"
        with lock.open("a") as handle:
            with suppress(OSError):  # a file system without locks: O_EXCL alone decides
                fcntl.flock(handle, fcntl.LOCK_EX)
            os.utime(lock)
            yield lock.stat().st_mtime

    def _touch(self) -> None:
        while not self._stop.wait(TOUCH_S):
            for path in list(self._held):
                with suppress(OSError):
                    os.utime(path)


def holder(path: Path, now: float | None = None) -> Owner | None:
    """Who holds the claim in the file `path`; None where nobody does, or where the claim is stale."""
    owner = _read(path)
    if owner is None:
        with suppress(OSError):  # being written, or cut short by a kill
            if (now or time.time()) - path.stat().st_mtime < TOUCH_S:
                return Owner(0, "", "unknown", 0.0)
        return None
    if owner.host == files.host():
        return owner if _runs(owner) else None
    with suppress(OSError):
        return owner if (now or time.time()) - path.stat().st_mtime < STALE_S else None
    return None


def _runs(owner: Owner) -> bool:
    try:
        process = psutil.Process(owner.pid)
        return process.status() != psutil.STATUS_ZOMBIE and abs(process.create_time() - owner.started) < 1
    except psutil.Error:
        return False


def _read(path: Path) -> Owner | None:
    try:
        found: Any = json.loads(path.read_bytes())
        return Owner(int(found["pid"]), str(found["host"]), str(found["node"]), float(found["started"]))
    except (OSError, ValueError, TypeError, KeyError):
        return None
