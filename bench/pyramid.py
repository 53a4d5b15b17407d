"""One photo to one tiled pyramidal TIFF. Light to import: it runs in worker processes."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import tifffile

from bench.disk import replacing
from jsma.slides.photo import load_photo

TILE_PX = 256
QUALITY = 90  # JPEG quality, also stated in each file


@dataclass(frozen=True)
class Provenance:
    """Where a pyramid's pixels come from; kept in the TIFF's ImageDescription.

    source_path: from the pyramid's folder; samples: how the source's numbers became 8 bits; notes: what of the
    source was not heeded; pages: of the source, of which the first is taken.
    """

    source: str
    source_path: str
    source_sha256: str
    source_bytes: int
    source_mtime_ns: int
    samples: str
    notes: tuple[str, ...]
    pages: int
    compression: str
    jpeg_quality: int
    mpp: float
    pixels: int


@dataclass(frozen=True)
class Job:
    """One conversion. mpp: um per pixel of the photo."""

    source: str
    target: str
    mpp: float
    quality: int = QUALITY


def convert(job: Job) -> Provenance:
    """Write `job.target`, whole or not at all, with its provenance. SlideError where the photo cannot be read."""
    cv2.setNumThreads(1)
    status = os.stat(job.source)
    photo = load_photo(job.source, bounded=False)
    provenance = Provenance(
        source=Path(job.source).name,
        source_path=_way(job.source, job.target),
        source_sha256=sha256_of(job.source),
        source_bytes=status.st_size,
        source_mtime_ns=status.st_mtime_ns,
        samples=photo.rule,
        notes=photo.notes,
        pages=photo.pages,
        compression=photo.compression,
        jpeg_quality=job.quality,
        mpp=job.mpp,
        pixels=photo.pixels.shape[0] * photo.pixels.shape[1],
    )
    write_pyramid(photo.pixels, Path(job.target), job.mpp, job.quality, json.dumps(asdict(provenance)))
    return provenance


def _way(source: str, target: str) -> str:
    """Path of `source` from the folder of `target`; absolute where there is no way (another drive)."""
    try:
        return os.path.relpath(os.path.abspath(source), os.path.dirname(os.path.abspath(target)))
    except ValueError:
        return os.path.abspath(source)


def provenance_of(path: str) -> dict[str, Any] | None:
    """What `convert` wrote into `path`; None where the file is absent or was not made here.

    "whole": whether every tile of every level lies inside the file.
    """
    try:
        with tifffile.TiffFile(path) as tif:
            pages: Any = list(tif.pages)
            made = json.loads(pages[0].description)
            if not isinstance(made, dict) or "source_sha256" not in made:
                return None
            ends = [o + n for page in pages for o, n in zip(page.dataoffsets, page.databytecounts, strict=True)]
            small = max(pages[-1].imagewidth, pages[-1].imagelength) <= TILE_PX
            return {**made, "whole": small and max(ends) <= os.path.getsize(path)}
    except Exception:  # tifffile raises many kinds on what is not its own
        return None


def sha256_of(path: str) -> str:
    """SHA-256 of a file."""
    with open(path, "rb") as handle:
        return hashlib.file_digest(handle, "sha256").hexdigest()


def write_pyramid(image: np.ndarray, target: Path, mpp: float, quality: int, description: str | None = None) -> None:
    """Write uint8 [h, w, 3] as 256-px JPEG tiles with levels 1, 1/2, 1/4 ... down to one tile."""
    with replacing(target) as temporary:
        _write_levels(image, temporary, mpp, quality, description)


def _write_levels(image: np.ndarray, path: Path, mpp: float, quality: int, description: str | None) -> None:
    level, scale = image, 1
    with tifffile.TiffWriter(path) as writer:
        while True:
            writer.write(
                level,
                photometric="rgb",
                tile=(TILE_PX, TILE_PX),
                compression="jpeg",
                compressionargs={"level": quality},
                subfiletype=0 if scale == 1 else 1,
                resolution=(1e4 / (mpp * scale), 1e4 / (mpp * scale)),
                resolutionunit="CENTIMETER",
                description=description if scale == 1 else None,
                metadata=None,
            )
            if max(level.shape[:2]) <= TILE_PX:
                break
            scale *= 2
            size = (-(-image.shape[1] // scale), -(-image.shape[0] // scale))
            level = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
