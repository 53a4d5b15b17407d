"""Counting tile decodings one by one, instead of believing what the reading path says of itself."""

from __future__ import annotations

import functools
import inspect
import pkgutil
import threading
from collections.abc import Iterator
from contextlib import suppress
from importlib import import_module
from types import ModuleType
from typing import Any

PACKAGES = ("jsma.slides.readers", "jsma.slides")
"""Where tile sources are: the second in revisions that had no room for readers."""


def _modules() -> Iterator[ModuleType]:
    """The modules of the first of PACKAGES that this revision has."""
    for package in PACKAGES:
        with suppress(ModuleNotFoundError):
            for found in pkgutil.iter_modules(import_module(package).__path__):
                yield import_module(f"{package}.{found.name}")
            return


class Decodings:
    """Number of outermost `read_tile` calls of every tile source, in this process, since `reset`."""

    def __init__(self) -> None:
        self.number = 0
        self._lock, self._mine = threading.Lock(), threading.local()
        for module in _modules():
            for _, cls in inspect.getmembers(module, inspect.isclass):
                if "read_tile" in vars(cls) and not getattr(cls, "_is_protocol", False):
                    self._watch(cls)

    def _watch(self, cls: type) -> None:
        original = vars(cls)["read_tile"]
        if hasattr(original, "__wrapped__"):
            return

        @functools.wraps(original)
        def counted(source: Any, level: int, row: int, col: int) -> Any:
            depth = getattr(self._mine, "depth", 0)
            self._mine.depth = depth + 1
            if not depth:
                with self._lock:
                    self.number += 1
            try:
                return original(source, level, row, col)
            finally:
                self._mine.depth = depth

        cls.read_tile = counted  # type: ignore[attr-defined]

    def reset(self) -> None:
        """Start from 0."""
        self.number = 0
