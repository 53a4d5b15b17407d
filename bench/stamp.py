"""A picture says which table it shows: the digest of the CSV beside it, in the PNG's own text."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pandas as pd

KEY = "Source"  # one of the PNG standard's own keywords


def stamp(table: Path) -> dict[str, str]:
    """Metadata for `savefig` of a picture drawn from the CSV file `table`."""
    return {KEY: f"{table.name} sha256 {hashlib.sha256(table.read_bytes()).hexdigest()[:16]}"}


def is_fresh(png: Path) -> bool:
    """Whether `png` was drawn from the CSV beside it as that is now."""
    from PIL import Image

    with Image.open(png) as image:
        return image.info.get(KEY) == stamp(png.with_suffix(".csv"))[KEY]


def rows_of(table: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file, None where a cell is empty."""
    frame = pd.read_csv(table)
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]


def draw_again(png: Path) -> None:
    """Draw `png` from the CSV beside it, of a comparison or a sweep that was saved; ValueError for any other."""
    table = png.with_suffix(".csv")
    rows = rows_of(table)
    if "flip_rate" in rows[0]:
        from bench.sweep_publish import picture
    elif "inference_s_per_slide" in rows[0]:
        from bench.publish import picture
    else:
        raise ValueError(f"{table}: neither a comparison nor a sweep; draw {png.name} with what wrote the table")
    picture(rows, png, stamp(table))
