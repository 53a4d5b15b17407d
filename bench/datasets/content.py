"""Short digests of what files hold: of all bytes where they are small, of chosen samples where they are large slides.

Path, size, times and inode are the key of a cache, so that a file is read once. They are no part of a digest: the same
data on another machine have the same digests.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import stat
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import BinaryIO

from bench.datasets.tiff_tables import tile_tables
from bench.files import write_text

WHOLE_BYTES = 16 << 20  # files up to this size are read whole
END_BYTES = 64 << 10  # of larger ones: the head, the tail,
BLOCKS, BLOCK_BYTES = 64, 4 << 10  # these blocks evenly spaced, and where the tiles of a TIFF lie
THREADS = 16  # reading waits more than it computes
SETTLED_NS = 2_000_000_000  # a file changed later than this before it is read may change again within one clock tick
VERSION = 1  # of the digests; another one is another cache

_Key = tuple[int, int, int, int]  # bytes, time of the last write, of the last change, inode
_known: dict[str, tuple[_Key, str]] = {}
_lock = threading.Lock()
_place: Path | None = None


def keep_in(path: Path) -> None:
    """Use the digests that are kept in the file `path`, and keep new ones there. A damaged file is no loss."""
    global _place
    _place = path
    with suppress(OSError, ValueError, TypeError, KeyError):
        kept = json.loads(path.read_bytes())
        if kept["version"] == VERSION:
            found = {p: ((int(a), int(b), int(c), int(d)), str(e)) for p, (a, b, c, d, e) in kept["files"].items()}
            with _lock:
                _known.update(found)


def slide_digests(paths: Iterable[str]) -> list[str | None]:
    """Digest slides. Thousands take seconds the first time.

    Args:
        paths: The files.

    Returns:
        For each a digest of 32 hexadecimal digits; None where it cannot be read.
    """
    return _digest_all(paths, _digest_slide)


def annotation_digests(paths: Iterable[str | None]) -> list[str | None]:
    """Digest the whole content of annotations.

    Args:
        paths: The files, folders or members of a zip; None where a slide has no annotation.

    Returns:
        For each a digest of 32 hexadecimal digits; "" for None; None where it cannot be read.
    """
    wanted = list(paths)
    found = iter(_digest_all((p for p in wanted if p is not None), _digest_annotation))
    return ["" if p is None else next(found) for p in wanted]


def file_digest(path: str, whole: bool = False) -> str:
    """Digest one file.

    Args:
        path: The file.
        whole: Whether every byte counts, however large the file is.

    Returns:
        32 hexadecimal digits.

    Raises:
        OSError: it cannot be read, or is no regular file.
    """
    real = os.path.realpath(path) + ("|whole" if whole else "")
    status = os.stat(path)
    if not stat.S_ISREG(status.st_mode):  # opening a FIFO waits for ever
        raise OSError(errno.EINVAL, "no regular file", path)
    key = (status.st_size, status.st_mtime_ns, status.st_ctime_ns, status.st_ino)
    known = _known.get(real)
    if known is not None and known[0] == key:
        return known[1]
    digest = hashlib.sha256(str(status.st_size).encode())
    with open(path, "rb", buffering=0) as handle:
        for block in _read_whole(handle) if whole else _read_samples(handle, status.st_size):
            digest.update(block)
    text = digest.hexdigest()[:32]
    if time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns) > SETTLED_NS:
        with _lock:
            _known[real] = (key, text)
    return text


def _digest_all(paths: Iterable[str], one: Callable[[str], str]) -> list[str | None]:
    wanted, before = list(paths), len(_known)

    def digest(path: str) -> str | None:
        try:
            return one(path)
        except (OSError, ValueError):  # a SlideError is one
            return None

    with ThreadPoolExecutor(THREADS) as pool:
        found = list(pool.map(digest, wanted))
    if len(_known) != before:
        _save()
    return found


def _save() -> None:
    if _place is None:
        return
    with _lock:
        files = {path: [*key, text] for path, (key, text) in _known.items()}
    with suppress(OSError):  # a full or read-only disk: the next start reads the slides again
        write_text(_place, json.dumps({"version": VERSION, "files": files}))


def _digest_slide(path: str) -> str:
    """Digest a slide. Of a MIRAX slide the folder beside it counts as well, because it holds the pixels."""
    folder = Path(path).with_suffix("")
    if path.lower().endswith(".mrxs") and folder.is_dir():
        return _join_digests([("", file_digest(path)), *((p.name, file_digest(str(p))) for p in _files(folder))])
    return file_digest(path)


def _digest_annotation(path: str) -> str:
    if os.path.isdir(path):
        return _join_digests((str(p.relative_to(path)), file_digest(str(p), whole=True)) for p in _files(Path(path)))
    if os.path.isfile(path):
        return file_digest(path, whole=True)
    from bench.datasets.evidence.files import annotation_bytes  # not needed to list datasets, and slow to load

    return hashlib.sha256(annotation_bytes(path)).hexdigest()[:32]  # a member of a zip


def _files(folder: Path) -> list[Path]:
    return sorted(p for p in folder.rglob("*") if p.is_file())


def _join_digests(parts: Iterable[tuple[str, str]]) -> str:
    return hashlib.sha256(json.dumps(list(parts)).encode()).hexdigest()[:32]


def _read_whole(handle: BinaryIO) -> Iterator[bytes]:
    while block := handle.read(1 << 20):
        yield block


def _read_samples(handle: BinaryIO, size_bytes: int) -> Iterator[bytes]:
    """Read all of a small file; of a large one the head, the tail, the tile tables and some blocks, in this order."""
    if size_bytes <= WHOLE_BYTES:
        yield from _read_whole(handle)
        return
    yield handle.read(END_BYTES)
    handle.seek(size_bytes - END_BYTES)
    yield handle.read(END_BYTES)
    yield from tile_tables(handle, size_bytes)
    for number in range(BLOCKS):
        handle.seek(number * (size_bytes - BLOCK_BYTES) // (BLOCKS - 1))
        yield handle.read(BLOCK_BYTES)
