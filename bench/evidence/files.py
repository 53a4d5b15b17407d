"""Annotation files, also those that are still inside the zip in which they are distributed."""

from __future__ import annotations

import zipfile
from pathlib import Path

from jsma.slides import SlideError


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
    """Whether the file, or the member of a zip, is there."""
    return Path(path).is_file() or _packed(Path(path)) is not None


def annotation_bytes(path: str) -> bytes:
    """Content of the file or zip member; SlideError where there is none."""
    packed = _packed(Path(path))
    try:
        if packed is None:
            return Path(path).read_bytes()
        with zipfile.ZipFile(packed[0]) as zipped:
            return zipped.read(packed[1])
    except OSError as error:
        raise SlideError(f"{path}: the annotation cannot be read ({error.strerror or error})") from error
