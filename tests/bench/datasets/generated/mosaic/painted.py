"""Photos that the tests of mosaics paint for themselves."""

import csv

import numpy as np
from PIL import Image

from bench.datasets.generated.mosaic import MosaicSettings
from bench.datasets.labelled import load
from tests.bench.datasets.images import tissue

TILE_PX = 64


def paint_photos(folder, number=6, patients=False, tint=()):
    """A table of photos of 96 x 80 px, `number` of each of three labels. tint: label -> what is taken off its red."""
    lines = ["path,label" + ",patient" * patients]
    for k, label in enumerate(("sick", "well", "scar")):
        for i in range(number):
            pixels = tissue(100 * k + i, 96, 80).astype(int)
            pixels[..., 0] -= dict(tint).get(label, 0)
            Image.fromarray(pixels.clip(0, 255).astype(np.uint8)).save(folder / f"{label}{i}.png")
            lines.append(f"{label}{i}.png,{label}" + f",p{k}-{i // 2}" * patients)
    (folder / "photos.csv").write_text("\n".join(lines))
    return load(folder / "photos.csv")


def small_settings(**other):
    """Twenty mosaics of 6 x 5 tiles."""
    own = {"positive": ("sick",), "negative": ("well", "scar"), "columns": 6, "rows": 5, "slides": 20}
    return MosaicSettings(**{**own, "mpp": 0.5, "tile_px": TILE_PX, **other})


def read_rows(path):
    with path.open() as handle:
        return list(csv.DictReader(handle))
