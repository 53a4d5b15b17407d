"""The folder that `--features DIR` names: what it holds, whether that is sound, and how it is made smaller.

A mark at its top says that it is ours. Below it each encoder has a folder, and in that each slide has one.
"""

from __future__ import annotations

import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.errors import UsageError
from bench.files import remove_leftovers, writable, write_text
from bench.runs.features.segment import SUFFIX, DamagedSegmentError, check_segment, read_segment

MARK = "features.json"
OURS = re.compile(rf".+-\d+-[0-9a-f]{{8}}-\d{{6}}{re.escape(SUFFIX)}")
"""How a file of features is called: host, process, random digits, number. Nothing else is listed or removed."""
FORMAT = 1


@dataclass(frozen=True)
class SlideFolder:
    """The features of one slide by one encoder.

    Attributes:
        path: The folder.
        files: Of features, in it.
        size_bytes: Of these files.
        used: When a process used or filled it last, in seconds since 1970.
    """

    path: Path
    files: tuple[Path, ...]
    size_bytes: int
    used: float


def feature_folder(path: Path, option: str) -> Path:
    """`path` as a folder of features, made and marked if need be.

    Raises:
        UsageError: It holds something else, or it cannot be written.
    """
    if os.path.exists(path) and (not path.is_dir() or (not _marked(path) and any(path.iterdir()))):
        raise UsageError(f"{option} {path}: it is there and holds no features; give a new folder or an empty one")
    writable(path, option)
    if not _marked(path):
        write_text(path / MARK, json.dumps({"format": FORMAT}))
    return path


def known_folder(path: Path) -> Path:
    """`path`, if it is a folder of features.

    Raises:
        UsageError: It is not.
    """
    if not _marked(path):
        why = f"it has no {MARK}" if path.is_dir() else "there is no such folder"
        raise UsageError(f"{path}: no folder of features ({why}); give the one of `jsma-bench run --features DIR`")
    return path


def _marked(path: Path) -> bool:
    try:
        said = json.loads((path / MARK).read_bytes())["format"]
    except (OSError, ValueError, TypeError, KeyError):
        return False
    if said != FORMAT:
        raise UsageError(f"{path}: features in format {said}; this version knows {FORMAT}; give another folder")
    return True


def slide_folders(folder: Path) -> Iterator[SlideFolder]:
    """What each slide has by each encoder, in the order of their names; what is removed meanwhile is passed over."""
    for encoder in sorted(p for p in folder.iterdir() if p.is_dir()):
        for path in sorted(p for p in encoder.iterdir() if p.is_dir()):
            with suppress(FileNotFoundError):
                if files := tuple(sorted(p for p in path.iterdir() if OURS.fullmatch(p.name))):
                    yield SlideFolder(path, files, sum(p.stat().st_size for p in files), path.stat().st_mtime)


def list_encoders(folder: Path) -> list[dict[str, Any]]:
    """One row an encoder, as plain data: what it is, and what is kept of it."""
    rows: dict[str, dict[str, Any]] = {}
    machines: dict[str, set[str]] = {}
    for slide in slide_folders(folder):
        name = slide.path.parent.name
        row = rows.setdefault(name, {"folder": name, "encoder": "", "slides": 0, "features": 0, "files": 0, "bytes": 0})
        row["slides"] += 1
        row["files"] += len(slide.files)
        row["bytes"] += slide.size_bytes
        row["used"] = max(slide.used, row.get("used", 0.0))
        for path in slide.files:
            with suppress(DamagedSegmentError, OSError):  # `features verify` tells them
                segment = read_segment(path)
                row["features"] += segment.n
                row["encoder"] = segment.notes["encoder"].get("name", "")
                machines.setdefault(name, set()).add(json.dumps(segment.notes["machine"], sort_keys=True))
    for name, row in rows.items():
        row["bytes_per_1000"] = round(1000 * row["bytes"] / row["features"]) if row["features"] else None
        row["machines"] = [json.loads(text) for text in sorted(machines.get(name, ()))]
    return list(rows.values())


def verify_files(folder: Path) -> Iterator[tuple[Path, str | None]]:
    """Read every file whole: its path, and what is wrong with it, or None."""
    for slide in slide_folders(folder):
        for path in slide.files:
            try:
                check_segment(path)
            except FileNotFoundError:
                continue
            except (DamagedSegmentError, OSError) as error:
                yield path, str(error)
            else:
                yield path, None


def choose_unused(folder: Path, older_than_s: float | None, max_bytes: float | None) -> list[SlideFolder]:
    """The features to remove, used longest ago first.

    Args:
        folder: Of features.
        older_than_s: Those that nobody used for so long.
        max_bytes: And so many more that no more bytes than this are left.
    """
    slides = sorted(slide_folders(folder), key=lambda slide: slide.used)
    total, now, chosen = sum(slide.size_bytes for slide in slides), time.time(), []
    for slide in slides:
        old = older_than_s is not None and now - slide.used > older_than_s
        if old or (max_bytes is not None and total > max_bytes):
            chosen.append(slide)
            total -= slide.size_bytes
    return chosen


def remove(slides: list[SlideFolder]) -> None:
    """Remove the files of features of `slides`, and the folders that are empty then. A run that uses them goes on."""
    for slide in slides:
        for path in slide.files:
            path.unlink(missing_ok=True)
        with suppress(OSError):  # another process writes there, or it holds something that is not ours
            remove_leftovers(slide.path)
            slide.path.rmdir()
            slide.path.parent.rmdir()
