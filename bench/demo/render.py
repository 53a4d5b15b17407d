"""Any box of a scene as pixels. A pixel depends on its own coordinates only, so boxes meet without seams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from bench.demo.scene import FIELD_PX, SITE_RADIUS0, Scene
from bench.demo.stamps import NUCLEUS_PX, glands, nuclei

TEXTURE_PX = 1024
DARK_RADIUS0 = SITE_RADIUS0 + 42  # full over the whole site: within it, no place is darker for a class


@dataclass(frozen=True)
class Box:
    """A box in level-0 pixels."""

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
    rows = (np.arange(box.y0, box.y0 + box.height_px) + shift) % TEXTURE_PX
    columns = (np.arange(box.x0, box.x0 + box.width_px) + 3 * shift) % TEXTURE_PX
    return texture[np.ix_(rows, columns)]


def _axes(box: Box) -> tuple[np.ndarray, np.ndarray]:
    x = np.arange(box.x0, box.x0 + box.width_px, dtype=np.float32) + 0.5
    y = np.arange(box.y0, box.y0 + box.height_px, dtype=np.float32) + 0.5
    return x, y


def _field(coarse: np.ndarray, box: Box) -> np.ndarray:
    """Bilinear sample of the tissue's outline field."""
    x, y = (axis / FIELD_PX for axis in _axes(box))
    i, j = y.astype(int), x.astype(int)
    fy, fx = (y - i)[:, None], (x - j)[None]
    top = coarse[np.ix_(i, j)] * (1 - fx) + coarse[np.ix_(i, j + 1)] * fx
    bottom = coarse[np.ix_(i + 1, j)] * (1 - fx) + coarse[np.ix_(i + 1, j + 1)] * fx
    return top * (1 - fy) + bottom * fy


def _near(points: np.ndarray, box: Box, reach: float) -> np.ndarray:
    x, y = points[:, 0], points[:, 1]
    return np.flatnonzero(
        (x > box.x0 - reach)
        & (x < box.x0 + box.width_px + reach)
        & (y > box.y0 - reach)
        & (y < box.y0 + box.height_px + reach)
    )


def _overlap(centre: np.ndarray, side: int, box: Box) -> tuple[tuple[slice, slice], tuple[slice, slice]] | None:
    """(slices of the box, slices of a stamp of `side` px around `centre`), or None where they do not meet."""
    left, top = round(centre[0] - side / 2) - box.x0, round(centre[1] - side / 2) - box.y0
    a, b = max(left, 0), min(left + side, box.width_px)
    c, d = max(top, 0), min(top + side, box.height_px)
    if a >= b or c >= d:
        return None
    return (slice(c, d), slice(a, b)), (slice(c - top, d - top), slice(a - left, b - left))


def densities(scene: Scene, box: Box) -> tuple[np.ndarray, np.ndarray]:
    """Haematoxylin and eosin, float32 [h, w] each, before the stain's own vectors.

    Shade (hint and folds) darkens what lies between the nuclei, never the nuclei: the light that they
    transmit would no longer be the same with and without evidence.
    """
    noise = textures(scene.texture_seed)
    outline = _field(scene.tissue, box) + 0.02 * _wrapped(noise["mottle"], box, 7)
    present = np.clip(outline * 40 + 0.5, 0, 1)
    fibres = _wrapped(noise["fibres"], box, scene.texture_shift)
    mottle = _wrapped(noise["mottle"], box, scene.texture_shift + 300)
    eosin = present * np.clip(0.20 + 0.085 * fibres + 0.03 * mottle, 0.015, None)
    haematoxylin = present * np.clip(0.045 + 0.012 * fibres + 0.008 * mottle, 0, None)
    covers, walls_h, walls_e = glands()
    side = covers.shape[1]
    for g in _near(scene.glands, box, side):
        if where := _overlap(scene.glands[g], side, box):
            at, part = where
            kind = scene.gland_kind[g]
            haematoxylin[at] = haematoxylin[at] * (1 - covers[kind][part]) + walls_h[kind][part]
            eosin[at] = eosin[at] * (1 - covers[kind][part]) + walls_e[kind][part]
    shade = _shade(scene, box)
    haematoxylin, eosin = haematoxylin * shade, eosin * shade
    eosin *= 1 + 0.08 * _wrapped(noise["fine"], box)
    stamps = nuclei()
    for n in _near(scene.nuclei, box, NUCLEUS_PX):
        if where := _overlap(scene.nuclei[n], NUCLEUS_PX, box):
            haematoxylin[where[0]] += stamps[scene.nucleus_kind[n]][where[1]]
    return haematoxylin, eosin


def _shade(scene: Scene, box: Box) -> np.ndarray:
    """Factor on the density: darker candidate sites and folds."""
    x, y = _axes(box)
    shade = np.ones((box.height_px, box.width_px), np.float32)
    for spot in scene.dark[_near(scene.dark, box, DARK_RADIUS0)]:
        r = np.sqrt((x[None] - spot[0]) ** 2 + (y[:, None] - spot[1]) ** 2)
        shade = np.maximum(shade, 1 + 0.9 * spot[2] * np.clip((DARK_RADIUS0 - r) / 40, 0, 1))
    if scene.fold is not None:
        shade *= 1 + 0.8 * np.clip(scene.fold[3] - _line(scene.fold, x, y), 0, 4) / 4
    return shade


def _line(line: np.ndarray, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Distance in px to the straight line through (line[0], line[1]) at angle line[2]."""
    return np.abs((x[None] - line[0]) * np.sin(line[2]) - (y[:, None] - line[1]) * np.cos(line[2]))


def render(scene: Scene, box: Box) -> np.ndarray:
    """uint8 [h, w, 3]: light = glass x 10^-(density), pen over it, sensor noise."""
    haematoxylin, eosin = densities(scene, box)
    planes = [np.clip(scene.light[c], 0, 255) * cv2.exp(
        (-np.log(10) * (scene.stains[0, c] * haematoxylin + scene.stains[1, c] * eosin)).astype(np.float32))
        for c in range(3)]  # fmt: skip
    light = np.stack(planes, axis=-1)
    if scene.pen is not None:
        ink = np.clip(scene.pen[3] - _line(scene.pen, *_axes(box)), 0, 3)[..., None] / 3 * 0.85
        light = light * (1 - ink) + ink * scene.pen[4:]
    light += 2.0 * _wrapped(textures(scene.texture_seed)["sensor"], box)[..., None]
    return np.clip(light, 0, 255).round().astype(np.uint8)
