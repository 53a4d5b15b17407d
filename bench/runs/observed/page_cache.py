"""Whether a slide's file is in the page cache: read beforehand (warm), or dropped, which is verified (cold)."""

from __future__ import annotations

import ctypes
import mmap
import os
from collections.abc import Sequence
from pathlib import Path

WARM, COLD, UNVERIFIED = "warm", "cold", "unverified"
"""Warm and cold may be asked for. A file that was to be cold, and could not be shown to be, is `UNVERIFIED`."""


def files_of(path: str) -> list[Path]:
    """The file, and those that lie in a folder beside it (MIRAX)."""
    own = Path(path)
    beside = own.with_suffix("") if own.suffix.lower() == ".mrxs" else None
    return [own, *(sorted(p for p in beside.iterdir() if p.is_file()) if beside and beside.is_dir() else ())]


def prepare(path: str, wanted: str) -> str:
    """Bring the file to the state `wanted` (WARM or COLD); returns the state it is in: WARM, COLD or UNVERIFIED."""
    files = files_of(path)
    if wanted == WARM:
        for file in files:
            file.read_bytes()
        return WARM
    return COLD if drop(files) else UNVERIFIED


def drop(files: Sequence[Path]) -> bool:
    """Ask the system to forget the pages of these files; whether none of them is in memory afterwards.

    posix_fadvise(DONTNEED) works without privileges for pages that are written and mapped by nobody. The disk's own
    cache, and that of a host below, are not ours to drop.
    """
    if not hasattr(os, "posix_fadvise"):
        return False
    for file in files:
        descriptor = os.open(file, os.O_RDONLY)
        try:
            os.fsync(descriptor)
            os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        except OSError:
            return False
        finally:
            os.close(descriptor)
    return all(resident_pages(file) == 0 for file in files)


def resident_pages(file: Path) -> int | None:
    """Pages of the file that are in memory, by mincore(2); None where the system does not tell.

    Linux tells the owner of a file only; to others every page is said to be there, so that nothing is taken for cold.
    """
    size_bytes = file.stat().st_size
    if not size_bytes:
        return 0
    with open(file, "rb") as opened, mmap.mmap(opened.fileno(), size_bytes, access=mmap.ACCESS_COPY) as mapped:
        first = ctypes.c_char.from_buffer(mapped)
        try:
            pages = (ctypes.c_ubyte * -(-size_bytes // mmap.PAGESIZE))()
            mincore = ctypes.CDLL(None, use_errno=True).mincore
            failed = mincore(ctypes.c_void_p(ctypes.addressof(first)), ctypes.c_size_t(size_bytes), pages)
        except (AttributeError, OSError):
            return None
        finally:
            del first
    return None if failed else sum(page & 1 for page in pages)
