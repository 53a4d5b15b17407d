"""Files that are whole or not there.

They are written under another name, synced and renamed. What killed processes left behind is removed.
"""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import platform
import re
import shutil
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO, Any

import psutil

from bench.errors import UsageError

NO_ROOM = {errno.ENOSPC: "the disk is full", errno.EDQUOT: "the quota of the disk is used up"}
NO_ACCESS = {errno.EROFS: "it is read-only", errno.EACCES: "it may not be written to", errno.EPERM: "not permitted"}
OURS = re.compile(r"\.(?P<host>[0-9a-f]{8})-(?P<pid>\d+)\.tmp$")
UNTOUCHED_S = 24 * 3600.0
"""A file of another machine, whose processes cannot be asked, is left over after so long. A process that waits for a
slow disk or is suspended leaves its file untouched for minutes; a left-over costs nothing but its room."""


@cache
def host() -> str:
    """8 hexadecimal digits that name the machine, or the container, whose processes see one another."""
    parts = [platform.node()]
    for place in ("/proc/sys/kernel/random/boot_id", "/proc/self/ns/pid"):
        with suppress(OSError):
            parts.append(os.readlink(place) if "ns" in place else Path(place).read_text())
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()[:8]


def alive(pid: int) -> bool:
    """Whether a process of that number runs on this machine."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def aside(path: Path) -> Path:
    """The name under which this process writes what will be `path`."""
    return path.with_name(f"{path.name}.{host()}-{os.getpid()}.tmp")


@contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a name to write to, and rename the file to `path` afterwards.

    It is synced before, and removed where writing failed.

    Raises:
        OSError: writing failed; the error names `path`.
    """
    temporary = aside(path)
    try:
        yield temporary
        sync(temporary)
        os.replace(temporary, path)
        sync(path.parent)
    except BaseException as error:
        with suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError) and error.errno is not None and not str(error.filename or "").startswith("/proc"):
            raise type(error)(error.errno, os.strerror(error.errno), str(path)) from error
        raise


@contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Let one process at a time into the body, so that it can read, change and write back files of `folder`."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)  # and the lock goes


def sync(path: Path) -> None:
    """Have the file system write a file or a folder to the disk, where it knows how."""
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    except OSError as error:
        if error.errno not in (errno.EINVAL, errno.ENOTSUP, errno.EBADF):
            raise
    finally:
        os.close(handle)


def write_bytes(path: Path, content: bytes) -> None:
    """Write `content` whole or not at all. A file that holds it already is not touched."""
    with suppress(OSError):
        if path.stat().st_size == len(content) and path.read_bytes() == content:
            return
    with replacing(path) as temporary:
        temporary.write_bytes(content)


def write_text(path: Path, text: str) -> None:
    """Write UTF-8 text whole or not at all; see `write_bytes`."""
    write_bytes(path, text.encode())


def write_with(path: Path, write: Callable[[IO[bytes]], Any]) -> None:
    """Write a file by a function, whole or not at all.

    Args:
        path: the file.
        write: writes to the binary file that it is given. Libraries turn a full disk into errors of their own; the
            error of the file is raised in their place.
    """
    with replacing(path) as temporary, temporary.open("wb") as handle:
        kept = _Noting(handle)
        try:
            write(kept)  # pyright: ignore[reportArgumentType]
        except Exception as error:
            raise (kept.failure or error) from error
        if kept.failure is not None:  # swallowed by the library
            raise kept.failure


class _Noting:
    """A binary file that remembers the first error of writing."""

    def __init__(self, handle: IO[bytes]):
        self.handle, self.failure = handle, None

    def write(self, content: Any) -> int:
        try:
            return self.handle.write(content)
        except OSError as error:
            self.failure = self.failure or error
            raise

    def flush(self) -> None:
        try:
            self.handle.flush()
        except OSError as error:
            self.failure = self.failure or error
            raise

    def __getattr__(self, name: str) -> Any:
        return getattr(self.handle, name)


def remove_leftovers(folder: Path) -> None:
    """Remove files and folders that killed processes were writing aside in `folder`."""
    for path in folder.iterdir() if folder.is_dir() else ():
        if (named := OURS.search(path.name)) is not None and _left(path, named):
            with suppress(OSError):
                shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink()


def _left(path: Path, named: re.Match[str]) -> bool:
    if named["host"] == host():
        return not alive(int(named["pid"]))
    with suppress(OSError):
        return time.time() - path.lstat().st_mtime > UNTOUCHED_S
    return False


def disk_error(error: OSError) -> str | None:
    """What is wrong with the disk or the folder, in words; None for errors of another kind."""
    return {**NO_ROOM, **NO_ACCESS}.get(error.errno or 0)


@contextmanager
def writing(places: Mapping[str, Path | None]) -> Iterator[None]:
    """Turn a full disk, or a folder that cannot be written, into one line that names the option to blame.

    Args:
        places: option -> the folder or file that it names; None where it was not given.

    Raises:
        UsageError: the line.
    """
    try:
        yield
    except OSError as error:
        reason = disk_error(error)
        if reason is None:
            raise
        raise UsageError(line_of(error, reason, {k: v for k, v in places.items() if v is not None})) from error


def line_of(error: OSError, reason: str, places: Mapping[str, Path]) -> str:
    """One line: what the option to blame names, what is wrong there, which file was written, and what to do."""
    file = Path(str(error.filename)) if error.filename else None
    blamed = [o for o, place in places.items() if file is not None and _within(file, place)]
    where = " or ".join(f"{option} {places[option]}" for option in blamed[:1] or places) or "a folder"
    what = f" (writing {file})" if file is not None else ""
    todo = "free some space" if error.errno in NO_ROOM else "make it writable or choose another folder"
    return f"{where}: {reason}{what}; {todo}, then run the same command again: what is complete is kept"


def _within(file: Path, place: Path) -> bool:
    own, folder = os.path.abspath(file), os.path.abspath(place)
    return own == folder or own.startswith((folder + os.sep, folder + "."))  # STEM.csv is within STEM


def writable(out: Path, option: str) -> Path:
    """Make a folder, and remove what killed processes left in it.

    Args:
        out: the folder.
        option: the option that named it, for errors.

    Returns:
        `out`.

    Raises:
        UsageError: it cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        remove_leftovers(out)
        probe = aside(out / ".probe")
        probe.touch()
        probe.unlink()
    except OSError as error:
        raise UsageError(f"{option} {out}: cannot be written ({error.strerror}); choose another folder") from error
    return out


def named(stem: Path, suffix: str) -> Path:
    """`stem` with `suffix` behind its name. The name may hold dots of its own (`results/v1.2`)."""
    return stem.with_name(stem.name + suffix)


def sha256_of(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()
