"""Annotation files, also those that are packed, and what they are by their first bytes."""

from __future__ import annotations

import gzip
import os
import zipfile
import zlib
from pathlib import Path

from jsma.slides import SlideError

MOST_BYTES = 1 << 30  # of one annotation, unpacked
READ = "annotations are read from GeoJSON (QuPath), XML of ASAP, Aperio ImageScope or HALO, and PNG or TIFF label masks"
_MAGIC = (
    (b"\x89PNG\r\n", "png"),
    (b"II*\0", "tiff"),
    (b"MM\0*", "tiff"),
    (b"II+\0", "tiff"),
    (b"MM\0+", "tiff"),
    (b"\xff\xd8\xff", "a JPEG picture, whose compression changes labels"),
    (b"SQLite format 3", "an SQLite database"),
    (b"PK\x03\x04", "a zip"),
    (b"\xac\xed\0\x05", "a data file of QuPath's own"),
    (b"\x89HDF", "an HDF5 file"),
    (b"\x93NUMPY", "a NumPy array"),
    (b"%PDF", "a PDF"),
    (b"Iout", "an ImageJ ROI"),
)


def _packed(path: Path) -> tuple[Path, str] | None:
    """(zip, member) where `path` points into a zip: `.../lesion_annotations.zip/tumor_001.xml`."""
    archive = path.parent
    if archive.suffix != ".zip" or not archive.is_file():
        return None
    try:
        with zipfile.ZipFile(archive) as zipped:
            members = [name for name in zipped.namelist() if Path(name).name == path.name]
    except zipfile.BadZipFile as error:
        raise SlideError(f"{archive}: not a readable zip ({error}); fetch it again") from error
    return (archive, members[0]) if members else None


def annotation_exists(path: str) -> bool:
    """Tell whether an annotation is there.

    Args:
        path: A file, or a member of a zip.

    Returns:
        True where it is.
    """
    return Path(path).is_file() or _packed(Path(path)) is not None


def annotation_bytes(path: str, most: int | None = None) -> bytes:
    """Read a file or a member of a zip, unpacked where it is gzipped.

    Args:
        path: The annotation.
        most: Most bytes that are read; None: all.

    Returns:
        Its content.

    Raises:
        SlideError: it is missing, cannot be read, or is too large.
    """
    packed, limit = _packed(Path(path)), MOST_BYTES + 1 if most is None else most
    if packed is None and os.path.exists(path) and not os.path.isfile(path):  # opening a FIFO waits for ever
        raise SlideError(f"{path}: no regular file but a folder, a FIFO or a device; give the annotation itself")
    try:
        if packed is None:
            with open(path, "rb") as handle:
                content = handle.read(limit)
            if content.startswith(b"\x1f\x8b"):
                with gzip.open(path) as unpacked:
                    content = unpacked.read(limit)
        else:
            with zipfile.ZipFile(packed[0]) as zipped, zipped.open(packed[1]) as member:
                content = member.read(limit)
    except (OSError, EOFError, zlib.error, zipfile.BadZipFile, RuntimeError, NotImplementedError) as error:
        why = getattr(error, "strerror", None) or error
        raise SlideError(f"{path}: the annotation cannot be read ({why})") from error
    if len(content) > MOST_BYTES:
        raise SlideError(f"{path}: more than {MOST_BYTES >> 20} MiB unpacked; export fewer regions to a file")
    return content


def kind_of_file(path: str) -> str:
    """Tell what a file is by its first bytes, whatever its name.

    Returns:
        "png", "tiff", "xml" or "json".

    Raises:
        SlideError: it is something else.
    """
    head = annotation_bytes(path, 64)
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            if kind in ("png", "tiff"):
                return kind
            raise SlideError(f"{path}: {kind}; {READ}: export it as one of these")
    text = head.replace(b"\0", b"").lstrip(b"\xef\xbb\xbf\xff\xfe \t\r\n")  # byte order marks, UTF-16's zeros
    if text[:1] in (b"{", b"["):
        return "json"
    if text[:1] == b"<":
        return "xml"
    raise SlideError(f"{path}: {'an empty file' if not head else 'of no known format'}; {READ}")


def is_mask(path: str) -> bool:
    """Whether the annotation is a raster mask."""
    return kind_of_file(path) in ("png", "tiff")
