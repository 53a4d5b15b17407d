"""Any box of a scene as pixels. A pixel depends on its own coordinates only, so boxes meet without seams."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import cv2
import numpy as np

from bench.demo.scene import FIELD_PX, SITE_RADIUS0, Scene
from bench.demo.stamps import NUCLEUS_PX, VARIANTS, gland, nuclei

TEXTURE_PX = 512


@dataclass(frozen=True)
class Box:
    """A box in level-0 pixels."""

    x0: int
    y0: int
    width_px: int
    height_px: int


@lru_cache(maxsize=4)
def textures(seed: int) -> dict[str, np.ndarray]:
    """Periodic noise, float32 [TEXTURE_PX, TEXTURE_PX], unit variance: fibres, mottle and the sensor's."""
    rng = np.random.default_rng(seed)

    def smooth(sigma_x: float, sigma_y: float) -> np.ndarray:
        spectrum = np.fft.fft2(rng.normal(size=(TEXTURE_PX, TEXTURE_PX)))
        f = np.fft.fftfreq(TEXTURE_PX)
        gain = np.exp(-2 * np.pi**2 * ((f[None] * sigma_x) ** 2 + (f[:, None] * sigma_y) ** 2))
        noise = np.fft.ifft2(spectrum * gain).real
        return (noise / noise.std()).astype(np.float32)

    return {"fibres": smooth(14, 2.2), "mottle": smooth(20, 20), "fine": smooth(1.2, 1.2), "sensor": smooth(0.3, 0.3)}


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
    """Haematoxylin and eosin, float32 [h, w] each, before the stain's own vectors."""
    noise = textures(scene.texture_seed)
    outline = _field(scene.tissue, box) + 0.02 * _wrapped(noise["mottle"], box, 7)
    present = np.clip(outline * 40 + 0.5, 0, 1)
    fibres = _wrapped(noise["fibres"], box)
    eosin = present * np.clip(0.24 + 0.075 * fibres + 0.03 * _wrapped(noise["mottle"], box), 0.03, None)
    haematoxylin = present * np.clip(0.05 + 0.012 * fibres, 0, None)
    cover, wall_h, wall_e = gland()
    for centre in scene.glands[_near(scene.glands, box, cover.shape[0])]:
        if where := _overlap(centre, cover.shape[0], box):
            at, part = where
            haematoxylin[at] = haematoxylin[at] * (1 - cover[part]) + wall_h[part]
            eosin[at] = eosin[at] * (1 - cover[part]) + wall_e[part]
    stamps = np.concatenate([nuclei(False), nuclei(True)])
    assert len(stamps) == 2 * VARIANTS
    for n in _near(scene.nuclei, box, NUCLEUS_PX):
        if where := _overlap(scene.nuclei[n], NUCLEUS_PX, box):
            haematoxylin[where[0]] += stamps[scene.nucleus_kind[n]][where[1]] * scene.nucleus_gain[n]
    shade = _shade(scene, box)
    return haematoxylin * shade, eosin * shade * (1 + 0.05 * _wrapped(noise["fine"], box))


def _shade(scene: Scene, box: Box) -> np.ndarray:
    """Factor on the density: darker candidate sites and folds."""
    x, y = _axes(box)
    shade = np.ones((box.height_px, box.width_px), np.float32)
    for spot in scene.dark[_near(scene.dark, box, SITE_RADIUS0 * 1.2)]:
        r = np.sqrt((x[None] - spot[0]) ** 2 + (y[:, None] - spot[1]) ** 2)
        shade += 0.45 * spot[2] * np.clip((SITE_RADIUS0 * 1.05 - r) / 40, 0, 1)
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
