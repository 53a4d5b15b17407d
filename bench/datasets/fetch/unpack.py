"""Zip archives are unpacked so that nothing leaves the folder and no bomb fills the disk."""

from __future__ import annotations

import lzma
import os
import shutil
import stat
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path, PurePosixPath

from bench.files import aside, remove_leftovers

MAX_RATIO = 100  # unpacked to packed; photographs and slides stay below 3
SMALL_BYTES = 100_000_000  # an archive may always unpack to so much
CHUNK_BYTES = 1 << 20
Report = Callable[[int, int], None]


class UnpackError(ValueError):
    """An archive that is refused; one line."""


def unpack(archive: Path, folder: Path, report: Report | None = None) -> list[Path]:
    """Unpack an archive. All of it appears, or nothing.

    Args:
        archive: A zip file.
        folder: Where its content goes.
        report: Called with (done, total) members.

    Returns:
        The files.

    Raises:
        UnpackError: a path is absolute or climbs out, a member is a link or encrypted, the size is out of proportion or
            does not fit the disk, the archive is damaged, or another file is in the way.
    """
    remove_leftovers(folder)
    scratch = aside(folder / f".unpacking-{archive.name}")
    shutil.rmtree(scratch, ignore_errors=True)
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [m for m in zipped.infolist() if not m.is_dir()]
            for member in members:
                _check_member(archive, member)
            _check_free(archive, members, folder)
            _check_size(archive, sum(m.file_size for m in members), folder)
            for number, member in enumerate(members):
                _extract(zipped, member, scratch)
                if report:
                    report(number + 1, len(members))
    except (zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, NotImplementedError) as error:
        shutil.rmtree(scratch, ignore_errors=True)
        raise UnpackError(f"{archive}: damaged ({error}); delete it and fetch again") from error
    except BaseException:
        shutil.rmtree(scratch, ignore_errors=True)
        raise
    placed = []
    for member in members:
        target = folder / member.filename
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(scratch / member.filename, target)
        placed.append(target)
    shutil.rmtree(scratch, ignore_errors=True)
    return placed


def _check_member(archive: Path, member: zipfile.ZipInfo) -> None:
    path = PurePosixPath(member.filename)
    if path.is_absolute() or ".." in path.parts or "\\" in member.filename or ":" in path.parts[0]:
        raise UnpackError(f"{archive}: {member.filename!r} leaves the folder; nothing was unpacked")
    if stat.S_ISLNK(member.external_attr >> 16):
        raise UnpackError(f"{archive}: {member.filename!r} is a link; nothing was unpacked")
    if member.flag_bits & 1:
        raise UnpackError(f"{archive}: {member.filename!r} is encrypted; nothing was unpacked")


def _check_free(archive: Path, members: list[zipfile.ZipInfo], folder: Path) -> None:
    """What is there already must be what would be unpacked."""
    others = [m.filename for m in members if os.path.lexists(folder / m.filename) and not _same(folder / m.filename, m)]
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise UnpackError(
            f"{archive}: {folder / others[0]}{more} would be overwritten by another file of that name; nothing was "
            "unpacked, move it away and run the same command again"
        )


def _same(path: Path, member: zipfile.ZipInfo) -> bool:
    """Whether a file has the size and the checksum that the archive lists."""
    if not path.is_file() or path.stat().st_size != member.file_size:
        return False
    found = 0
    with path.open("rb") as handle:
        while chunk := handle.read(CHUNK_BYTES):
            found = zlib.crc32(chunk, found)
    return found == member.CRC


def _check_size(archive: Path, unpacked_bytes: int, folder: Path) -> None:
    packed_bytes = archive.stat().st_size
    if unpacked_bytes > max(SMALL_BYTES, MAX_RATIO * packed_bytes):
        raise UnpackError(
            f"{archive}: {packed_bytes} bytes claim to hold {unpacked_bytes}, more than {MAX_RATIO} to 1; "
            "a zip bomb, nothing was unpacked"
        )
    free_bytes = shutil.disk_usage(folder).free
    if unpacked_bytes > free_bytes:
        raise UnpackError(
            f"{archive}: unpacked it takes {unpacked_bytes / 1e9:.1f} GB, the disk has {free_bytes / 1e9:.1f} GB free; "
            "free some space and run the same command again"
        )


def _extract(zipped: zipfile.ZipFile, member: zipfile.ZipInfo, scratch: Path) -> None:
    target = scratch / member.filename
    target.parent.mkdir(parents=True, exist_ok=True)
    left = member.file_size
    with zipped.open(member) as source, target.open("wb") as out:
        while chunk := source.read(CHUNK_BYTES):
            left -= len(chunk)
            if left < 0:
                raise UnpackError(f"{member.filename!r} holds more than it declares; a zip bomb, nothing was unpacked")
            out.write(chunk)
