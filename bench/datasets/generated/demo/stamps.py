"""Small pictures in optical density: nuclei with and without the cytology evidence, and glands."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

# optical density per unit of stain for R, G, B: the reference vectors of Macenko et al., ISBI 2009
HAEMATOXYLIN = np.array([0.5626, 0.7201, 0.4062])
EOSIN = np.array([0.2159, 0.8012, 0.5581])

NUCLEUS_PX = 24  # side of a stamp; a gland's nucleus is about 8 x 6 um at 0.5 um/px
DETAIL_PX = 1.8  # sigma above which the evidence has the light of the plain nucleus
VARIANTS = 32  # of each kind of nucleus; variant v lies at the angle pi v / VARIANTS
SPINDLE, LYMPHOCYTE = 2 * VARIANTS, 3 * VARIANTS  # first indices of the stroma's nuclei
GLAND_VARIANTS = 24
GLAND_RADIUS0 = 44.0  # the largest outline
GLAND_NUCLEI = 16


def transmitted(density: np.ndarray) -> float:
    """Sum the light of the three channels through a stamp of haematoxylin density [h, w]."""
    return float((10.0 ** -(density[..., None] * HAEMATOXYLIN)).sum())


@cache
def nuclei() -> np.ndarray:
    """Haematoxylin density [4 VARIANTS, side, side]: plain, evidence, spindle, lymphocyte.

    Plain and evidence come in pairs of one outline. Plain: evenly dark chromatin. Evidence: cleared
    chromatin, dark rim, nucleolus, with the transmitted light of the plain one at every scale coarser than
    a few pixels, so that a 4 x 4 block mean (5x) cannot tell the two apart.
    """
    pairs = [_pair(variant) for variant in range(VARIANTS)]
    spindles = [_plain(variant, (11.0, 2.4), 1.0)[0] for variant in range(VARIANTS)]
    lymphocytes = [_plain(variant, (4.6, 4.2), 1.35)[0] for variant in range(VARIANTS)]
    return np.stack([p for p, _ in pairs] + [e for _, e in pairs] + spindles + lymphocytes).astype(np.float32)


def _plain(
    variant: int, axes_px: tuple[float, float], darkness: float
) -> tuple[np.ndarray, np.ndarray, np.random.Generator]:
    """(density, depth below the outline in pixels, generator) of a nucleus of about `axes_px` half axes."""
    rng = np.random.default_rng([7, variant, int(10 * axes_px[0])])
    y, x = np.mgrid[:NUCLEUS_PX, :NUCLEUS_PX] + 0.5 - NUCLEUS_PX / 2
    angle = np.pi * variant / VARIANTS
    long, short = axes_px[0] * rng.uniform(0.93, 1.07), axes_px[1] * rng.uniform(0.93, 1.07)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    depth = (1 - np.sqrt((u / long) ** 2 + (v / short) ** 2)) * short
    inside = np.clip(depth + 0.5, 0, 1)
    grain = cv2.GaussianBlur(rng.normal(size=depth.shape), (0, 0), 1.2)
    density = darkness * rng.uniform(0.85, 1.15) * inside * (0.72 + 0.35 * grain)
    return np.clip(density, 0, None), depth, rng


def _pair(variant: int) -> tuple[np.ndarray, np.ndarray]:
    plain, depth, rng = _plain(variant, (8.2, 6.0), 1.0)
    y, x = np.mgrid[:NUCLEUS_PX, :NUCLEUS_PX] + 0.5 - NUCLEUS_PX / 2
    rim = np.exp(-((depth - 0.8) ** 2) / 1.0)
    spot = np.exp(-((x - rng.uniform(-1, 1)) ** 2 + (y - rng.uniform(-1, 1)) ** 2) / 2.2)
    dark = np.clip(depth + 1.5, 0, 1) * (rim + 1.4 * spot - 0.45)
    detail = dark - cv2.GaussianBlur(dark, (0, 0), DETAIL_PX)
    green = HAEMATOXYLIN[1]
    light = 10.0 ** -(plain * green)
    evidence = -np.log10(np.clip(light - 0.5 * detail, 0.03, 1.0)) / green
    # clipping loses a little light: one gain restores the whole nucleus's
    low, high, target = 0.2, 5.0, transmitted(plain)
    for _ in range(50):
        middle = (low + high) / 2
        low, high = (middle, high) if transmitted(evidence * middle) > target else (low, middle)
    return plain, evidence * low


@cache
def glands() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cover, haematoxylin, eosin), float32 [GLAND_VARIANTS, side, side] each: star-convex, without nuclei."""
    side = int(2 * GLAND_RADIUS0 + 8)
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    r, angle = np.sqrt(x**2 + y**2), np.arctan2(y, x)
    covers, h, e = [], [], []
    for variant in range(GLAND_VARIANTS):
        outer, lumen = gland_outline(variant, angle)
        cover = np.clip(outer - r + 0.5, 0, 1)
        wall = cover * np.clip((r - lumen) / 2 + 0.5, 0, 1)
        apical = np.clip((outer - r) / (outer - lumen), 0, 1)  # 0 at the base, 1 at the lumen
        covers.append(cover)
        h.append(wall * (0.34 - 0.10 * apical))
        e.append(wall * (0.26 - 0.04 * apical) + 0.02 * (cover - wall))
    return np.stack(covers).astype(np.float32), np.stack(h).astype(np.float32), np.stack(e).astype(np.float32)


def gland_outline(variant: int, angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Radii in px of the outer edge and of the lumen at `angle`; the outer one stays below GLAND_RADIUS0."""
    rng = np.random.default_rng([11, variant])
    orders = np.arange(2, 6)
    wave = np.zeros_like(angle)
    for k, size, phase in zip(orders, rng.normal(0, 0.022, 4), rng.uniform(0, 2 * np.pi, 4), strict=True):
        wave = wave + size * np.cos(k * angle + phase)
    outer = GLAND_RADIUS0 * np.clip(0.945 + wave, 0.85, 1.0)
    stretch = 1 + rng.uniform(0.0, 0.4) * np.cos(2 * (angle - rng.uniform(0, np.pi)))
    lumen = np.minimum(rng.uniform(12, 17) * stretch * (1 + 2.5 * wave), outer - 19)
    return outer, lumen


def gland_nuclei(variant: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Offsets [GLAND_NUCLEI, 2] (x, y) in level-0 pixels, and variants: one basal row, nuclei radial."""
    angle = np.linspace(0, 2 * np.pi, GLAND_NUCLEI, endpoint=False) + rng.uniform(0, 2 * np.pi)
    angle = angle + rng.normal(0, 0.05, GLAND_NUCLEI)
    outer, _ = gland_outline(variant, angle)
    radius = outer - 11 + rng.normal(0, 1.0, GLAND_NUCLEI)
    turned = angle + rng.normal(0, 0.15, GLAND_NUCLEI)
    kind = np.round(turned / np.pi * VARIANTS).astype(int) % VARIANTS
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1), kind
