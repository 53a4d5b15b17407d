"""What lies where on one slide: a list of objects, from which any box can be rendered."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.spatial import KDTree

from bench.demo.settings import DemoSettings
from bench.demo.stamps import EOSIN, HAEMATOXYLIN, VARIANTS, nucleus_ring

FIELD_PX = 64  # level-0 pixels per sample of the tissue's outline
SITE_RADIUS0 = 222.0
SITE_PITCH0 = 452.0
SPACED0, CROWDED0 = 104.0, 73.5  # half the distance between neighbouring glands of a site


@dataclass
class Scene:
    """Objects of one slide, all in level-0 pixels.

    tissue: outline field sampled every FIELD_PX, tissue where above 0; glands [g, 2] centres; nuclei
    [n, 2] centres with nucleus_kind [n] (variant, + VARIANTS for evidence) and nucleus_gain [n];
    dark [d, 3] spots (x, y, strength); evidence: "architecture"/"cytology" -> [s, 2] site centres.
    """

    side0_px: int
    tissue: np.ndarray
    glands: np.ndarray
    nuclei: np.ndarray
    nucleus_kind: np.ndarray
    nucleus_gain: np.ndarray
    dark: np.ndarray
    sites: np.ndarray
    evidence: dict[str, np.ndarray]
    stains: np.ndarray  # [2, 3] optical density of haematoxylin and eosin
    light: np.ndarray  # [3] of bare glass
    texture_seed: int
    pen: np.ndarray | None = None  # (x, y, angle, width, r, g, b)
    fold: np.ndarray | None = None  # (x, y, angle, width)
    counts: dict[str, int] = field(default_factory=dict)


def make_scene(settings: DemoSettings, index: int) -> Scene:
    """Scene of slide `index`; the layout's randomness does not depend on the class."""
    architecture, cytology = settings.labels[index % len(settings.labels)]
    rng = np.random.default_rng([settings.seed, index])
    tissue = _tissue(settings, rng)
    sites = _sites(settings.side0_px, tissue, rng)
    each = max(1, round(settings.evidence_share * len(sites)))
    order = rng.permutation(len(sites))
    candidates = {"architecture": order[:each], "cytology": order[each : 2 * each]}
    crowded = np.zeros(len(sites), bool)
    cleared = np.zeros(len(sites), bool)
    crowded[candidates["architecture"]] = architecture
    cleared[candidates["cytology"]] = cytology
    glands, owner = _glands(sites, crowded, rng)
    nuclei, kind = _gland_nuclei(glands, cleared[owner], rng)
    stroma = _stroma_nuclei(settings.side0_px, tissue, glands, rng)
    kind = np.concatenate([kind, rng.integers(0, VARIANTS, len(stroma))])
    nuclei = np.concatenate([nuclei, stroma])
    spots = [np.column_stack([sites[order[: 2 * each]], np.ones(len(order[: 2 * each]))])]
    for place in sites[order[2 * each :]]:
        if rng.random() < 0.1:  # false spots, alike in every class
            spots.append(np.array([[*place, 1.0]]))
    dark = np.concatenate(spots)
    dark[:, 2] *= settings.hint * rng.uniform(0.8, 1.2, len(dark))
    evidence = {"architecture": sites[crowded], "cytology": sites[cleared]}
    scene = Scene(
        settings.side0_px,
        tissue,
        glands,
        nuclei,
        kind,
        rng.uniform(0.85, 1.15, len(nuclei)),
        dark,
        sites,
        evidence,
        *_look(rng),
        texture_seed=int(rng.integers(2**31)),
    )
    _marks(scene, rng)
    scene.counts = {"glands": len(glands), "gland_nuclei": 36 * len(glands), "dark": 2 * each}
    return scene


def _tissue(settings: DemoSettings, rng: np.random.Generator) -> np.ndarray:
    size = -(-settings.side0_px // FIELD_PX) + 2
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    noise = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), max(3.0, size / 12))
    noise = noise / noise.std() * 0.25 - np.maximum(np.abs(x), np.abs(y)) ** 3
    return (noise - np.quantile(noise, 1 - settings.tissue_share)).astype(np.float32)


def inside_tissue(tissue: np.ndarray, points0: np.ndarray) -> np.ndarray:
    """Whether points [n, 2] (x, y) lie well inside the tissue."""
    i = np.clip((points0 / FIELD_PX).round().astype(int), 0, np.array(tissue.shape)[::-1] - 1)
    return tissue[i[:, 1], i[:, 0]] > 0.02


def _sites(side0_px: int, tissue: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    """Centres on a jittered hexagonal lattice, kept where the site's middle is tissue; at least three."""
    rows = int(side0_px / (SITE_PITCH0 * 0.87)) + 2
    columns = int(side0_px / SITE_PITCH0) + 2
    row, column = np.mgrid[:rows, :columns]
    lattice = np.stack([(column + 0.5 * (row % 2)) * SITE_PITCH0, row * SITE_PITCH0 * 0.87], -1).reshape(-1, 2)
    points = lattice + rng.uniform(-SITE_PITCH0, 0, 2) + rng.uniform(-4, 4, lattice.shape)
    margin = SITE_RADIUS0 + 4
    points = points[((points > margin) & (points < side0_px - margin)).all(axis=1)]
    good = points[inside_tissue(tissue, points)]
    if len(good) >= 3:
        return good
    height = tissue[tuple(np.clip((points / FIELD_PX).round().astype(int), 0, tissue.shape[0] - 1).T[::-1])]
    return points[np.argsort(-height)[:3]]


def _glands(sites: np.ndarray, crowded: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    corners = np.array([[-1, -1], [1, -1], [-1, 1], [1, 1]], float)
    centres = []
    for site, tight in zip(sites, crowded, strict=True):
        angle, jitter = rng.uniform(0, np.pi / 2), rng.uniform(-1, 1, (4, 2))
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        centres.append(site + corners @ turn * (CROWDED0 if tight else SPACED0) + jitter * (1 if tight else 6))
    return np.concatenate(centres), np.repeat(np.arange(len(sites)), 4)


def _gland_nuclei(glands: np.ndarray, cleared: np.ndarray, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    points = np.concatenate([centre + nucleus_ring(rng) for centre in glands])
    return points, rng.integers(0, VARIANTS, len(points)) + VARIANTS * np.repeat(cleared, 36)


def _stroma_nuclei(side0_px: int, tissue: np.ndarray, glands: np.ndarray, rng: np.random.Generator) -> np.ndarray:
    points = rng.uniform(0, side0_px, (int(side0_px**2 / 2600), 2))
    points = points[inside_tissue(tissue, points)]
    distance, _ = KDTree(glands).query(points)
    return points[distance > 84]


def _look(rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    stains = np.stack([HAEMATOXYLIN, EOSIN]) * rng.normal(1, 0.06, (2, 3)) * rng.uniform(0.85, 1.2, (2, 1))
    return np.abs(stains), 243 + rng.uniform(-5, 5, 3)


def _marks(scene: Scene, rng: np.random.Generator) -> None:
    place, side = rng.uniform(0.1, 0.9, (2, 2)) * scene.side0_px, scene.side0_px
    inks = ((40, 70, 160), (30, 120, 70), (30, 30, 35))
    if rng.random() < 0.15:
        edge = rng.uniform(0.02, 0.06) * side
        scene.pen = np.array([edge, place[0, 1], np.pi / 2 + rng.normal(0, 0.05), 24.0, *inks[rng.integers(3)]])
    if rng.random() < 0.2:
        scene.fold = np.array([*place[1], rng.uniform(0, np.pi), rng.uniform(10, 22)])
