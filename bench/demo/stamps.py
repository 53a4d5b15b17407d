"""Small pictures in optical density of haematoxylin: nuclei with and without the cytology evidence, and a gland."""

from __future__ import annotations

from functools import cache

import cv2
import numpy as np

# optical density per unit of stain for R, G, B: Ruifrok & Johnston, Anal. Quant. Cytol. Histol. 2001
HAEMATOXYLIN = np.array([0.65, 0.70, 0.29])
EOSIN = np.array([0.07, 0.99, 0.11])

NUCLEUS_PX = 24  # side of a stamp; a nucleus is about 7 um = 14 px at 0.5 um/px
VARIANTS = 32
GLAND_RADIUS0 = 72.0
LUMEN_RADIUS0 = 24.0


def transmitted(density: np.ndarray) -> float:
    """Light of the three channels through a stamp of haematoxylin density, summed over its pixels."""
    return float((10.0 ** -(density[..., None] * HAEMATOXYLIN)).sum())


@cache
def nuclei(evidence: bool) -> np.ndarray:
    """[VARIANTS, side, side] densities. Pairs (plain, evidence) have one outline and transmit the same light.

    Plain: evenly dark chromatin. Evidence: cleared chromatin, dark rim, nucleolus; its gain is solved by
    bisection so that a block mean over the whole nucleus cannot tell the two apart.
    """
    return np.stack([_pair(variant)[int(evidence)] for variant in range(VARIANTS)])


def _pair(variant: int) -> tuple[np.ndarray, np.ndarray]:
    rng = np.random.default_rng([7, variant])
    half = NUCLEUS_PX / 2
    y, x = np.mgrid[:NUCLEUS_PX, :NUCLEUS_PX] + 0.5 - half
    angle, long, short = rng.uniform(0, np.pi), rng.uniform(7.2, 8.4), rng.uniform(5.8, 6.8)
    u, v = x * np.cos(angle) + y * np.sin(angle), -x * np.sin(angle) + y * np.cos(angle)
    r = np.sqrt((u / long) ** 2 + (v / short) ** 2)
    inside = np.clip((1 - r) * short + 0.5, 0, 1)
    grain = cv2.GaussianBlur(rng.normal(size=r.shape), (0, 0), 1.2)
    plain = inside * (0.75 + 0.35 * grain)
    rim = np.exp(-(((1 - r) * short - 1.0) ** 2) / 1.2)
    spot = np.exp(-((x - rng.uniform(-1.5, 1.5)) ** 2 + (y - rng.uniform(-1.5, 1.5)) ** 2) / 3.0)
    shape = inside * (0.12 + 1.0 * rim + 1.3 * spot)
    plain, target = np.clip(plain, 0, None), 0.0
    target, low, high = transmitted(plain), 0.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (middle, high) if transmitted(shape * middle) > target else (low, middle)
    return plain.astype(np.float32), (shape * low).astype(np.float32)


@cache
def gland() -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(cover, haematoxylin, eosin), each [side, side]: a round gland with lumen and epithelium, without nuclei."""
    side = int(2 * GLAND_RADIUS0 + 8)
    y, x = np.mgrid[:side, :side] + 0.5 - side / 2
    r = np.sqrt(x**2 + y**2)
    cover = np.clip(GLAND_RADIUS0 - r + 0.5, 0, 1)
    wall = cover * np.clip(r - LUMEN_RADIUS0 + 0.5, 0, 1)
    return cover.astype(np.float32), (0.10 * wall).astype(np.float32), (0.30 * wall).astype(np.float32)


def nucleus_ring(rng: np.random.Generator) -> np.ndarray:
    """Offsets [36, 2] (x, y) of a gland's nuclei in level-0 pixels: a basal ring and an inner one."""
    outer = np.linspace(0, 2 * np.pi, 22, endpoint=False) + rng.uniform(0, 2 * np.pi)
    inner = np.linspace(0, 2 * np.pi, 14, endpoint=False) + rng.uniform(0, 2 * np.pi)
    angle = np.concatenate([outer, inner])
    radius = np.concatenate([np.full(22, 60.0), np.full(14, 40.0)]) + rng.normal(0, 1.5, 36)
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=1)
