"""The generated slides that the gate measures on: one large, two small, all tissue; kept in a cache folder."""

from __future__ import annotations

import hashlib
import os
import shutil
from pathlib import Path

from bench.checks.speed.gauge.workload import Sizes
from bench.datasets.generated.demo import DemoSettings, generate
from bench.datasets.generated.demo.write import slide_name
from bench.errors import UsageError

NAMES = ("large", "small0", "small1")


def make_slides(data: Path, sizes: Sizes | None = None) -> Path:
    """The folder of the slides below `data`; they are generated where they are missing.

    Raises:
        UsageError: they cannot be written.
    """
    sizes = sizes or Sizes()
    folder = data / f"gate-{sizes.large0_px}-{sizes.small0_px}"
    if all((folder / f"{name}.tif").is_file() for name in NAMES):
        return folder
    try:
        for names, side0_px in ((NAMES[:1], sizes.large0_px), (NAMES[1:], sizes.small0_px)):
            settings = DemoSettings(slides=len(names), side0_px=side0_px, tissue_share=1.0)
            made = generate(settings, folder / f"made-{side0_px}")
            for index, name in enumerate(names):
                os.replace(made / slide_name(index), folder / f"{name}.tif")
            shutil.rmtree(made)
    except (OSError, ValueError) as error:
        raise UsageError(f"--data {data}: the slides to measure on cannot be made ({error})") from error
    return folder


def digest_slides(folder: Path) -> str:
    """sha256 of the slides' bytes, 16 hex digits: compressed bytes are comparable only where it is equal."""
    found = hashlib.sha256()
    for name in NAMES:
        found.update((folder / f"{name}.tif").read_bytes())
    return found.hexdigest()[:16]
