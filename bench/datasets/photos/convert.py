"""One photo to one tiled pyramidal TIFF. Light to import: it runs in worker processes."""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import tifffile

from bench.datasets.generated.pyramid import QUALITY, TILE_PX, write_pyramid
from bench.files import sha256_of
from jsma.slides.formats.photo import load_photo


@dataclass(frozen=True)
class Provenance:
    """Where a pyramid's pixels come from. The TIFF keeps it in its ImageDescription.

    Attributes:
        source: Name of the photo.
        source_path: Path of the photo from the pyramid's folder.
        source_sha256: Of the photo.
        source_bytes: Size of the photo.
        source_mtime_ns: Time of the photo's last change.
        samples: How its numbers became 8 bits.
        notes: What in the photo was not used, such as a colour profile.
        pages: Number of its pages, of which the first is taken.
        compression: Of the photo.
        jpeg_quality: Of the pyramid, 1..100.
        mpp: Micrometres per pixel.
        pixels: Number of pixels.
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
    """One conversion.

    Attributes:
        source: The photo.
        target: The pyramid.
        mpp: Micrometres per pixel of the photo.
        quality: Of the JPEG tiles, 1..100.
    """

    source: str
    target: str
    mpp: float
    quality: int = QUALITY


def convert(job: Job) -> Provenance:
    """Convert one photo. The pyramid appears whole or not at all.

    Args:
        job: What to convert.

    Returns:
        Where the pixels come from.

    Raises:
        SlideError: the photo cannot be read.
    """
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
    """Write the path of `source` from the folder of `target`, or the absolute one where it lies on another drive."""
    try:
        return os.path.relpath(os.path.abspath(source), os.path.dirname(os.path.abspath(target)))
    except ValueError:
        return os.path.abspath(source)


def provenance_of(path: str) -> dict[str, Any] | None:
    """Read what `convert` wrote into a pyramid.

    Args:
        path: The pyramid.

    Returns:
        The fields of `Provenance`, and "whole": whether every tile of every level lies inside the file. None where the
        file is absent or was not made here.
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
