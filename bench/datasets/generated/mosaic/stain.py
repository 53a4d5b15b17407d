"""Stains in optical density: photos matched to each other, and a part of them shifted."""

from __future__ import annotations

import cv2
import numpy as np

DENSITY = -np.log10((np.arange(256) + 1.0) / 256.0)  # of every value of a pixel
HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical densities (R, G, B) of haematoxylin, eosin and the rest: Ruifrok & Johnston, Anal Quant Cytol Histol 2001."""
Moments = tuple[tuple[float, ...], tuple[float, ...]]
"""Mean and standard deviation of the optical density, of R, G and B."""


def moments(pixels: np.ndarray) -> Moments:
    """Mean and standard deviation of the optical density of uint8 RGB [h, w, 3]."""
    means, spreads = [], []
    for channel in range(3):
        counts = np.bincount(pixels[..., channel].reshape(-1), minlength=256) / pixels[..., channel].size
        mean = float(counts @ DENSITY)
        means.append(mean)
        spreads.append(float(np.sqrt(max(0.0, counts @ (DENSITY - mean) ** 2))))
    return tuple(means), tuple(spreads)


def match_table(own: Moments, target: Moments) -> np.ndarray:
    """uint8 [1, 256, 3] for `cv2.LUT`: gives a photo of moments `own` the moments `target`, but for clipping."""
    columns = []
    for mean, spread, wanted, wanted_spread in zip(*own, *target, strict=True):
        density = (DENSITY - mean) * (wanted_spread / max(spread, 1e-6)) + wanted
        columns.append(pixel_values(density))
    return np.stack(columns, axis=1)[None]


def shift_stain(pixels: np.ndarray, shift: float) -> np.ndarray:
    """uint8 [h, w, 3] with haematoxylin times 1 + shift and eosin times 1 - shift."""
    change = np.linalg.inv(HED) @ np.diag([1 + shift, 1 - shift, 1.0]) @ HED
    density = DENSITY.astype(np.float32)[pixels]
    return pixel_values(cv2.transform(density, change.T.astype(np.float32)))


def pixel_values(density: np.ndarray) -> np.ndarray:
    """uint8 of optical densities, clipped to what eight bits hold."""
    return np.clip(np.rint(256.0 * 10.0**-density - 1.0), 0, 255).astype(np.uint8)
