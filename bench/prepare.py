"""Photos to tiled pyramidal TIFF, once, so that reading a part of one costs a part of it."""

from __future__ import annotations

import csv
import os
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import tifffile
from PIL import Image, UnidentifiedImageError

from bench.datasets.labelled import load
from bench.errors import UsageError
from bench.rundir import writable


def prepare(labels: Path, folder: Path, mpp: float, quality: int, report: Callable[[int, int], None]) -> Path:
    """Convert every photo of `labels` (path,label) to `folder`; returns the new labels.csv.

    mpp: micrometres per pixel of the photos. A file that exists is kept, so the command can be repeated.
    """
    if not mpp > 0:
        raise UsageError(f"--mpp {mpp}; micrometres per pixel must be above 0")
    dataset = load(labels)
    writable(folder)
    rows = []
    for number, record in enumerate(dataset.records):
        target = folder / f"{number:05d}_{Path(record.path).stem}.tif"
        if not target.is_file():
            write_pyramid(_photo(record.path), target, mpp, quality)
        rows.append({"path": target.name, "label": record.label, "patient": record.patient or ""})
        report(number + 1, len(dataset.records))
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, ["path", "label", "patient"])
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"


def _photo(path: str) -> np.ndarray:
    try:
        with Image.open(path) as image:
            return np.asarray(image.convert("RGB"))
    except FileNotFoundError as error:
        raise UsageError(f"{path}: no such file; mend the path in the CSV") from error
    except (OSError, UnidentifiedImageError) as error:
        raise UsageError(f"{path}: not a readable image ({error})") from error


def write_pyramid(image: np.ndarray, target: Path, mpp: float, quality: int) -> None:
    """Write uint8 [h, w, 3] as 256-px JPEG tiles with levels 1, 1/2, 1/4 ... down to one tile."""
    temporary = target.with_suffix(".tmp")
    level, scale = image, 1
    with tifffile.TiffWriter(temporary) as writer:
        while True:
            writer.write(
                level,
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                compressionargs={"level": quality},
                subfiletype=0 if scale == 1 else 1,
                resolution=(1e4 / (mpp * scale), 1e4 / (mpp * scale)),
                resolutionunit="CENTIMETER",
                metadata=None,
            )
            if max(level.shape[:2]) <= 256:
                break
            scale *= 2
            size = (-(-image.shape[1] // scale), -(-image.shape[0] // scale))
            level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
    os.replace(temporary, target)
