"""Stains in optical density: how much haematoxylin and eosin a pixel holds, how to change it, how to match slides.

Stains absorb a share of the light, so amounts of stain add in optical density and not in grey levels (law of Beer and
Lambert). A change of stains is a 3 x 3 matrix: the optical density [r, g, b] of a pixel, as a row, times the matrix.
Every change leaves bare glass (255, 255, 255) as it is. This module uses numpy and OpenCV only.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np

HED = np.array([[0.65, 0.70, 0.29], [0.07, 0.99, 0.11], [0.27, 0.57, 0.78]])
"""Optical density (R, G, B) of one unit of haematoxylin, eosin and the rest (DAB).

Source: Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 23 (2001) 291-299.
"""
DENSITY = -np.log10((np.arange(256) + 1.0) / 256.0)
"""Optical density of every value of a channel, float64 [256]: 0 of glass (255), 2.41 of black."""
LARGEST_SHIFT = 0.9  # a shift of 1 would leave no eosin
MIN_DENSITY = 0.15  # a pixel whose mean is below it says nothing about stains (Macenko asks it of each channel)
EXTREMES_PERCENT = 1.0  # of the pixels, on either side, which do not count when stains are looked for
MOST_FITTED_PIXELS = 250_000  # stains of a picture are known from a part of its pixels


def density_of(pixels: np.ndarray) -> np.ndarray:
    """Optical density of uint8 pixels.

    Args:
        pixels: uint8 RGB [h, w, 3].

    Returns:
        float32 [h, w, 3], 0 to 2.41.
    """
    return cv2.LUT(np.ascontiguousarray(pixels), DENSITY.astype(np.float32))


def pixels_of(density: np.ndarray) -> np.ndarray:
    """Pixels of an optical density, clipped to what 8 bits hold.

    Args:
        density: float [h, w, 3].

    Returns:
        uint8 RGB [h, w, 3]. `pixels_of(density_of(pixels))` are the same pixels.
    """
    light = cv2.exp(np.multiply(density, -math.log(10), dtype=np.float32))
    light *= 256
    light -= 1
    return np.clip(np.rint(light, out=light), 0, 255).astype(np.uint8)


def separate_stains(pixels: np.ndarray) -> np.ndarray:
    """Amounts of haematoxylin, eosin and the rest in every pixel.

    Args:
        pixels: uint8 RGB [h, w, 3].

    Returns:
        float32 [h, w, 3] in units of `HED`. A colour that the three stains cannot make has amounts below 0.
    """
    return _times(density_of(pixels), np.linalg.inv(HED))


def change_density(pixels: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Apply a change of stains.

    Args:
        pixels: uint8 RGB [h, w, 3].
        change: float [3, 3], as `gain_change` and `match_change` give it.

    Returns:
        uint8 RGB [h, w, 3].
    """
    return pixels_of(_times(density_of(pixels), change))


def _times(density: np.ndarray, change: np.ndarray) -> np.ndarray:
    """Every row [3] of `density` [h, w, 3] times `change` [3, 3]."""
    return cv2.transform(density, np.asarray(change, np.float32).T)


def gain_change(gains: Sequence[float]) -> np.ndarray:
    """The change that multiplies the amount of each stain.

    Args:
        gains: factors of haematoxylin, eosin and the rest, each 0 or more.

    Returns:
        float64 [3, 3].
    """
    return np.linalg.inv(HED) @ np.diag(np.asarray(gains, np.float64)) @ HED


def shift_gains(shift: float) -> tuple[float, float, float]:
    """Factors of another mix of stains: more haematoxylin and less eosin, or the other way round.

    Args:
        shift: -0.9 to 0.9. Haematoxylin is multiplied by 1 + shift, eosin by 1 - shift; 0 changes nothing.

    Returns:
        Factors of haematoxylin, eosin and the rest.

    Raises:
        ValueError: the shift is outside its range.
    """
    if not -LARGEST_SHIFT <= shift <= LARGEST_SHIFT:
        raise ValueError(f"shift is {shift:g}; allowed: {-LARGEST_SHIFT:g} to {LARGEST_SHIFT:g}")
    return 1 + shift, 1 - shift, 1.0


def shift_stains(pixels: np.ndarray, shift: float) -> np.ndarray:
    """Give pixels another mix of haematoxylin and eosin.

    Args:
        pixels: uint8 RGB [h, w, 3].
        shift: see `shift_gains`.

    Returns:
        uint8 RGB [h, w, 3].
    """
    return change_density(pixels, gain_change(shift_gains(shift)))


def draw_gains(size: float, rng: np.random.Generator) -> tuple[float, float, float]:
    """Random factors of the three stains, for augmentation.

    Args:
        size: 0 to 0.9. Every factor is uniform in 1 - size to 1 + size, independent of the others.
        rng: source of the randomness.

    Returns:
        Factors of haematoxylin, eosin and the rest, for `gain_change`.

    The factors are those of Tellez et al., IEEE Trans. Med. Imaging 37 (2018) 2126-2136. The amounts that they also
    add are left out, because they would tint bare glass.
    """
    haematoxylin, eosin, rest = rng.uniform(1 - size, 1 + size, 3).tolist()
    return haematoxylin, eosin, rest


@dataclass(frozen=True)
class Moments:
    """Mean and spread of the optical density of a picture.

    Attributes:
        mean: of R, G and B.
        spread: standard deviation of R, G and B, 0 or more.
    """

    mean: tuple[float, float, float]
    spread: tuple[float, float, float]


def moments_of(pixels: np.ndarray) -> Moments:
    """Mean and standard deviation of the optical density.

    Args:
        pixels: uint8 RGB [h, w, 3], at least one pixel.

    Returns:
        The moments over all pixels, exact in integers up to the last sum.
    """
    shares = [np.bincount(pixels[..., c].reshape(-1), minlength=256) / pixels[..., c].size for c in range(3)]
    means = [float(share @ DENSITY) for share in shares]
    squares = [float(share @ (DENSITY - mean) ** 2) for share, mean in zip(shares, means, strict=True)]
    r, g, b = (math.sqrt(max(0.0, square)) for square in squares)
    return Moments((means[0], means[1], means[2]), (r, g, b))


def average_moments(some: Sequence[Moments]) -> Moments:
    """The mean of several moments, as a target for `match_table`.

    Args:
        some: moments of one picture or more.

    Returns:
        Means of the means and of the spreads.
    """
    mean, spread = (np.mean([getattr(one, name) for one in some], axis=0).tolist() for name in ("mean", "spread"))
    return Moments(tuple(mean), tuple(spread))


def match_table(own: Moments, target: Moments) -> np.ndarray:
    """The table that gives a picture of moments `own` the moments `target`, but for clipping.

    Args:
        own: moments of the picture.
        target: moments that it shall have.

    Returns:
        uint8 [1, 256, 3], for `cv2.LUT(pixels, table)`.

    Reinhard et al., IEEE Comput. Graph. Appl. 21 (2001) 34-41, on optical density in place of a colour space. Glass is
    moved like everything else: a picture with much glass is better matched by `match_change`.
    """
    columns = []
    for mean, spread, wanted, wanted_spread in zip(own.mean, own.spread, target.mean, target.spread, strict=True):
        columns.append((DENSITY - mean) * (wanted_spread / max(spread, 1e-6)) + wanted)
    return pixels_of(np.stack(columns, axis=1)[None])


@dataclass(frozen=True)
class StainFit:
    """The two stains of one slide.

    Attributes:
        vectors: optical density (R, G, B) of haematoxylin and of eosin, each of length 1.
        strengths: amount of haematoxylin and of eosin that 99 of 100 stained pixels do not exceed.
    """

    vectors: tuple[tuple[float, float, float], tuple[float, float, float]]
    strengths: tuple[float, float]


def fit_stains(pixels: np.ndarray) -> StainFit | None:
    """Find the two stains of a picture in its own pixels.

    Args:
        pixels: uint8 RGB [h, w, 3].

    Returns:
        The stains; None where the picture is too bare or too even to hold two.

    Macenko et al., ISBI 2009, 1107-1110: the plane of the two largest components of the optical density, and in it the
    outermost directions. Haematoxylin is the direction with more red density in proportion.
    """
    flat = np.ascontiguousarray(pixels).reshape(-1, 1, 3)
    density = density_of(flat[:: -(-len(flat) // MOST_FITTED_PIXELS)]).reshape(-1, 3).astype(np.float64)
    stained = density[density.mean(axis=1) > MIN_DENSITY]
    if len(stained) < 100:
        return None
    values, components = np.linalg.eigh(np.cov(stained.T))
    if values[1] < 1e-6:
        return None
    plane = components[:, :0:-1]  # the largest component first
    plane = plane * np.where(plane.sum(axis=0) < 0, -1.0, 1.0)
    angles = np.arctan2(*(stained @ plane).T[::-1])
    ends = np.percentile(angles, [EXTREMES_PERCENT, 100 - EXTREMES_PERCENT])
    vectors = [plane @ (math.cos(angle), math.sin(angle)) for angle in ends]
    vectors = [np.abs(vector) / np.linalg.norm(vector) for vector in vectors]
    vectors.sort(key=lambda vector: -vector[0] / vector.sum())
    amounts = np.linalg.lstsq(np.stack(vectors, axis=1), stained.T, rcond=None)[0]
    high = np.percentile(amounts, 99, axis=1)
    if (high <= 0.05).any():
        return None
    haematoxylin, eosin = (tuple(vector.tolist()) for vector in vectors)
    return StainFit((haematoxylin, eosin), (float(high[0]), float(high[1])))


def match_change(own: StainFit, target: StainFit) -> np.ndarray:
    """The change that gives a slide with the stains `own` the stains `target`.

    Args:
        own: stains of the slide.
        target: stains that it shall have.

    Returns:
        float64 [3, 3]. What lies outside the plane of the two stains stays, turned into the other plane.
    """
    strengths = np.array([*target.strengths, 1.0]) / np.array([*own.strengths, 1.0])
    return np.linalg.inv(_basis(own)) @ np.diag(strengths) @ _basis(target)


def _basis(fit: StainFit) -> np.ndarray:
    """Both stains and the direction at right angles to them, float64 [3, 3], one a row."""
    haematoxylin, eosin = (np.asarray(vector) for vector in fit.vectors)
    across = np.cross(haematoxylin, eosin)
    return np.stack([haematoxylin, eosin, across / np.linalg.norm(across)])
