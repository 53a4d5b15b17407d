"""Files written aside and renamed: whole or not at all, and no two processes share a temporary file."""

from __future__ import annotations

import hashlib
import os
import platform
import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import psutil

HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:8]  # folders are shared between machines
_TEMPORARY = re.compile(r"\..+\.(?P<host>[0-9a-f]{8})\.(?P<pid>\d+)\.jsma-tmp")


@contextmanager
def aside(target: Path) -> Iterator[Path]:
    """A temporary file beside `target` that takes its name at the end; where the body fails it is removed.

    Its name holds machine and process: a killed process leaves it, and `remove_dead` knows that its owner is gone.
    """
    temporary = target.with_name(f".{target.name}.{HOST}.{os.getpid()}.jsma-tmp")
    try:
        yield temporary
        os.replace(temporary, target)
    finally:
        temporary.unlink(missing_ok=True)


def write_aside(target: Path, text: str) -> None:
    """`text` as UTF-8 under the name `target`, whole or not at all; line ends as they are in `text`."""
    with aside(target) as temporary:
        temporary.write_bytes(text.encode())


def remove_dead(folder: Path) -> None:
    """Remove temporary files of `aside` whose process on this machine no longer lives; all others stay."""
    for path in folder.glob(".*.jsma-tmp"):
        found = _TEMPORARY.fullmatch(path.name)
        if found and found["host"] == HOST and not psutil.pid_exists(int(found["pid"])):
            with suppress(OSError):  # another process was faster, or may and we may not
                path.unlink()
