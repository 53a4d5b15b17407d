"""The folder of a set of mosaics: what tells that it is ours and of which settings, and its two tables."""

from __future__ import annotations

import csv
import hashlib
import io
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from bench.datasets.generated.mosaic.plan import Material, Mosaic, plan_mosaic
from bench.datasets.generated.mosaic.writing import file_of, outlines_file
from bench.datasets.labels import write_list
from bench.errors import UsageError
from bench.files import write_text

STAMP, LABELS, TILES, JOURNAL = "mosaic.json", "labels.csv", "tiles.csv", "mosaic.jsonl"
LABEL_COLUMNS = ("path", "label", "patient", "split", "mpp", "annotation")
TILE_COLUMNS = ("path", "column", "row", "photo", "label", "group", "evidence", "x_px", "y_px", "turn")


def check_folder(folder: Path) -> None:
    """UsageError where the folder holds what `data mosaic` did not make."""
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"--to {folder}: is a file; give an empty or new folder")
    if folder.is_dir() and any(folder.iterdir()) and not (folder / STAMP).is_file():
        raise UsageError(f"--to {folder}: holds files that `data mosaic` did not make; give an empty or new folder")


def stamp_folder(material: Material, folder: Path) -> None:
    """Write what the mosaics are made of, or compare it with what is there. Only the number of slides may differ."""
    wanted, stamp = describe(material), folder / STAMP
    if stamp.is_file():
        there = read_stamp(folder)
        if different := [key for key in wanted if key != "slides" and there.get(key) != wanted[key]]:
            was, asked = (str(some.get(different[0], "none"))[:60] for some in (there, wanted))
            raise UsageError(
                f"--to {folder}: holds mosaics with {different[0]} {was}, asked: {asked}; choose another folder, or "
                "delete that one"
            )
    folder.mkdir(parents=True, exist_ok=True)
    write_text(stamp, json.dumps(wanted, indent=1))


def describe(material: Material) -> dict[str, Any]:
    """All that decides on the pixels, as JSON holds it; the photos by a digest of their content, labels and parts."""
    rows = [(p.digest, p.label, p.group, p.part) for p in material.photos]
    photos = hashlib.sha256(json.dumps(rows).encode()).hexdigest()[:16]
    own = {**asdict(material.settings), "tile_px": material.tile_px, "mpp": material.mpp, "photos": photos}
    return json.loads(json.dumps(own))


def read_stamp(folder: Path) -> dict[str, Any]:
    """What the mosaics of a folder are made of. UsageError where the stamp is damaged."""
    stamp = folder / STAMP
    try:
        return dict(json.loads(stamp.read_bytes()))
    except (OSError, ValueError, TypeError) as error:
        raise UsageError(f"{stamp}: damaged ({error}); delete its folder, and the mosaics are made anew") from error


def grid_of(slide: Path) -> tuple[int, int] | None:
    """(columns, rows) of the set that a slide belongs to; None where it is no mosaic."""
    try:
        stamp = json.loads((slide.parent / STAMP).read_bytes())
        return int(stamp["columns"]), int(stamp["rows"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_tables(material: Material, folder: Path) -> list[str]:
    """Write labels.csv and tiles.csv; lines on those that were edited and are kept."""
    planned = [plan_mosaic(material, index) for index in range(material.settings.slides)]
    slides = [(file_of(m.index), m.label, m.group, m.part, material.mpp, outlines_file(m) or "") for m in planned]
    tiles = (row for mosaic in planned for row in _tile_rows(material, mosaic))
    texts = {LABELS: _csv_text(LABEL_COLUMNS, slides), TILES: _csv_text(TILE_COLUMNS, tiles)}
    kept = [write_list(folder / name, text, folder / JOURNAL, "data mosaic") for name, text in texts.items()]
    return [line for line in kept if line]


def _tile_rows(material: Material, mosaic: Mosaic) -> Iterable[tuple[Any, ...]]:
    """A row of tiles.csv for each tile."""
    evidence = {*mosaic.needles, *mosaic.crowd}
    for t in mosaic.tiles:
        photo, inside = material.photos[t.photo], int((t.column, t.row) in evidence)
        cell = (file_of(mosaic.index), t.column, t.row)
        yield (*cell, photo.name, photo.label, photo.group, inside, t.x_px, t.y_px, t.turn)


def _csv_text(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> str:
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(columns)
    writer.writerows(rows)
    return text.getvalue()
