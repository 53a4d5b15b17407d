"""Which files a piece of code opens, by the interpreter's own audit events."""

from __future__ import annotations

import sys
import sysconfig
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

_OWN = tuple({sys.prefix, sys.base_prefix, sysconfig.get_paths()["stdlib"], "/proc", "/sys", "/dev"})


_watching: list[list[str]] = []  # where to note what is opened; empty while nobody looks
_hooked: list[bool] = []


def _note(event: str, arguments: tuple[Any, ...]) -> None:
    if not _watching or event not in ("open", "subprocess.Popen", "socket.connect"):
        return
    what = arguments[0] if arguments else ""
    if event == "open":
        if not isinstance(what, (str, bytes, Path)):
            return  # a file that is open already
        text = what.decode(errors="replace") if isinstance(what, bytes) else str(what)
        if text.startswith(_OWN) or text.endswith((".py", ".pyc", ".so")):
            return  # a module that is imported at its first use
        _watching[-1].append(text)
    else:
        _watching[-1].append(f"{event} {what}")


@contextmanager
def watch_files() -> Iterator[list[str]]:
    """Names of files that Python opens in the body, whether they exist or not, and of what it starts or connects to.

    Modules are left out. A library in C that opens a file by itself is not seen, but it finds none (see `Watched`).
    """
    if not _hooked:
        sys.addaudithook(_note)  # stays for good: Python has no way to take it off
        _hooked.append(True)
    found: list[str] = []
    _watching.append(found)
    try:
        yield found
    finally:
        _watching.pop()
