"""Any box of a scene as pixels. A pixel depends only on its own coordinates, so that boxes meet without seams."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from bench.datasets.generated.demo.scene import FIELD_PX, SITE_RADIUS0, Scene
from bench.datasets.generated.demo.stamps import NUCLEUS_PX, glands, nuclei

TEXTURE_PX = 1024
DARK_RADIUS0 = SITE_RADIUS0 + 42  # full over the whole site: within it, no place is darker for a class


@dataclass(frozen=True)
class Box:
    """A box in level-0 pixels: its upper left corner and its size."""

    x0: int
    y0: int
    width_px: int
    height_px: int


@lru_cache(maxsize=4)
def textures(seed: int) -> dict[str, np.ndarray]:
    """Periodic noise, float32 [TEXTURE_PX, TEXTURE_PX], unit variance: fibres, mottle, grain and the sensor's."""
    rng = np.random.default_rng(seed)

    def smooth(sigma_x: float, sigma_y: float) -> np.ndarray:
        spectrum = np.fft.fft2(rng.normal(size=(TEXTURE_PX, TEXTURE_PX)))
        f = np.fft.fftfreq(TEXTURE_PX)
        gain = np.exp(-2 * np.pi**2 * ((f[None] * sigma_x) ** 2 + (f[:, None] * sigma_y) ** 2))
        noise = np.fft.ifft2(spectrum * gain).real
        return (noise / noise.std()).astype(np.float32)

    fibres = smooth(26, 2.2) + 0.6 * smooth(16, 1.3)
    at = np.arange(TEXTURE_PX, dtype=np.float32)
    bend = 42 * smooth(60, 60), 26 * smooth(45, 45)  # straight noise bent into wavy bundles
    wavy = cv2.remap(fibres, at[None] + bend[0], at[:, None] + bend[1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP)
    return {
        "fibres": wavy / wavy.std(),
        "mottle": smooth(30, 30),
        "fine": smooth(1.2, 1.2),
        "sensor": smooth(0.3, 0.3),
    }


def _wrapped(texture: np.ndarray, box: Box, shift: int = 0) -> np.ndarray:
    rows = texture[(np.arange(box.y0, box.y0 + box.height_px) + shift) % TEXTURE_PX]
    out = np.empty((box.height_px, box.width_px), texture.dtype)
    x, at = 0, (box.x0 + 3 * shift) % TEXTURE_PX
    while x < box.width_px:  # runs of whole rows: picking single pixels takes three times as long
        run = min(TEXTURE_PX - at, box.width_px - x)
        out[:, x : x + run] = rows[:, at : at + run]
        x, at = x + run, 0
    return out


def _axes(box: Box) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(box.x0, box.x0 + box.width_px, dtype=np.float32) + 0.5
    y = np.arange(box.y0, box.y0 + box.height_px, dtype=np.float32) + 0.5
    return x, y


def _field(coarse: np.ndarray, box: Box) -> np.ndarray:
    """Bilinear sample of the tissue's outline field."""
    x, y = (axis / FIELD_PX for axis in _axes(box))
    i, j = y.astype(int), x.astype(int)
    fy, fx = (y - i)[:, None], (x - j)[None]
    samples = coarse[i[0] : i[-1] + 2]
    across = samples[:, j] * (1 - fx) + samples[:, j + 1] * fx  # one row for each of the field's, not of the box's
    i -= i[0]
    out = across[i]
    out *= 1 - fy
    bottom = across[i + 1]
    bottom *= fy
    out += bottom
    return out


def _near(points: np.ndarray, box: Box, reach: float) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    return np.flatnonzero(
        (x > box.x0 - reach)
        & (x < box.x0 + box.width_px + reach)
        & (y > box.y0 - reach)
        & (y < box.y0 + box.height_px + reach)
    )


def _overlaps(
    centres: np.ndarray, side: int, box: Box
) -> Iterator[tuple[int, tuple[slice, slice], tuple[slice, slice]]]:
    """(index, slices of the box, slices of a stamp of `side` px) of each centre whose stamp meets the box."""
    near = _near(centres, box, side)
    corner = np.rint(centres[near] - side / 2).astype(int) - (box.x0, box.y0)
    low = np.maximum(corner, 0)
    high = np.minimum(corner + side, (box.width_px, box.height_px))
    met = (low < high).all(axis=1)
    edges = np.concatenate([near[:, None], low, high, low - corner, high - corner], axis=1)[met]
    for index, x0, y0, x1, y1, left, top, right, bottom in edges.tolist():
        yield index, (slice(y0, y1), slice(x0, x1)), (slice(top, bottom), slice(left, right))


def densities(scene: Scene, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Amounts of haematoxylin and eosin in a box.

    The shade of hints and folds darkens what lies between the nuclei, and never the nuclei. Otherwise they would
    transmit another amount of light with evidence than without.

    Args:
        scene: What lies where.
        box: The part of it.

    Returns:
        float32 [h, w] each, before the colours of the stains.
    """
    noise = textures(scene.texture_seed)
    present = _field(scene.tissue, box)
    present += 0.02 * _wrapped(noise["mottle"], box, 7)
    present *= 40
    present += 0.5
    np.clip(present, 0, 1, out=present)
    fibres = _wrapped(noise["fibres"], box, scene.texture_shift)
    mottle = _wrapped(noise["mottle"], box, scene.texture_shift + 300)
    eosin = 0.20 + 0.085 * fibres
    eosin += 0.03 * mottle
    eosin = present * np.maximum(eosin, 0.015, out=eosin)
    haematoxylin = 0.045 + 0.012 * fibres
    haematoxylin += 0.008 * mottle
    haematoxylin = present * np.maximum(haematoxylin, 0, out=haematoxylin)
    covers, walls_h, walls_e = glands()
    for g, at, part in _overlaps(scene.glands, covers.shape[1], box):
        kind = scene.gland_kind[g]
        haematoxylin[at] = haematoxylin[at] * (1 - covers[kind][part]) + walls_h[kind][part]
        eosin[at] = eosin[at] * (1 - covers[kind][part]) + walls_e[kind][part]
    shade = _shade(scene, box)
    haematoxylin *= shade
    eosin *= shade
    fine = _wrapped(noise["fine"], box)
    fine *= 0.08
    fine += 1
    eosin *= fine
    stamps = nuclei()
    kinds = scene.nucleus_kind
    for n, at, part in _overlaps(scene.nuclei, NUCLEUS_PX, box):
        haematoxylin[at] += stamps[kinds[n]][part]
    return haematoxylin, eosin


def _shade(scene: Scene, box: Box) -> np.ndarray:
    """Factor on the density: darker candidate sites and folds."""
    x, y = _axes(box)
    spots = scene.dark[_near(scene.dark, box, DARK_RADIUS0)]
    # the precision of a box's sums follows from this, and files of earlier versions are to come out the same
    shade = np.ones((box.height_px, box.width_px), np.float64 if len(spots) else np.float32)
    for spot in spots:
        across, down = (np.flatnonzero(np.abs(axis - at) <= DARK_RADIUS0) for axis, at in ((x, spot[0]), (y, spot[1])))
        if len(across) and len(down):
            at = slice(down[0], down[-1] + 1), slice(across[0], across[-1] + 1)
            r = np.sqrt((x[None, at[1]] - spot[0]) ** 2 + (y[at[0], None] - spot[1]) ** 2)
            shade[at] = np.maximum(shade[at], 1 + 0.9 * spot[2] * np.clip((DARK_RADIUS0 - r) / 40, 0, 1))
    if scene.fold is not None:
        shade *= 1 + 0.8 * np.clip(scene.fold[3] - _line(scene.fold, x, y), 0, 4) / 4
    return shade


def _line(line: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in px to the straight line through (line[0], line[1]) at angle line[2]."""
    return np.abs((x[None] - line[0]) * np.sin(line[2]) - (y[:, None] - line[1]) * np.cos(line[2]))


def render(scene: Scene, box: Box) -> np.ndarray:
    """Render a box: light of glass x 10^-density, then pen, then noise of the sensor.

    Args:
        scene: What lies where.
        box: The part of it.

    Returns:
        uint8 RGB [h, w, 3].
    """
    haematoxylin, eosin = densities(scene, box)
    sensor = 2.0 * _wrapped(textures(scene.texture_seed)["sensor"], box)
    ink = None
    if scene.pen is not None:
        ink = np.clip(scene.pen[3] - _line(scene.pen, *_axes(box)), 0, 3) / 3 * 0.85
    out = np.empty((box.height_px, box.width_px, 3), np.uint8)
    for c in range(3):
        density = scene.stains[0, c] * haematoxylin
        density += scene.stains[1, c] * eosin
        density *= -np.log(10)
        light = np.clip(scene.light[c], 0, 255) * cv2.exp(density.astype(np.float32))
        if scene.pen is not None and ink is not None:
            light *= 1 - ink
            light += ink * scene.pen[4 + c]
        light += sensor
        np.clip(light, 0, 255, out=light)
        out[..., c] = np.rint(light, out=light)
    return out
