"""What lies where on one slide: a list of objects, from which any box can be rendered."""

from __future__ import annotations

from dataclasses import dataclass, field

import cv2
import numpy as np
from scipy.spatial import KDTree

from bench.datasets.generated.demo.settings import DemoSettings
from bench.datasets.generated.demo.stamps import (
    EOSIN,
    GLAND_NUCLEI,
    GLAND_RADIUS0,
    GLAND_VARIANTS,
    HAEMATOXYLIN,
    LYMPHOCYTE,
    SPINDLE,
    VARIANTS,
    gland_nuclei,
)
from jsma.slides.stains import shift_gains

FIELD_PX = 64  # level-0 pixels per sample of the tissue's outline
SITE_RADIUS0 = 250.0
SITE_PITCH0 = 510.0
PLUMP0_PX2 = 2400  # level-0 pixels of a site for each of its plump nuclei
SPACED0, CROWDED0 = 146.0, 86.0  # half the distance between neighbouring glands of a site


@dataclass
class Scene:
    """Objects of one slide. All coordinates are (x, y) in level-0 pixels.

    Attributes:
        side0_px: Side of the slide.
        tissue: Field that is sampled every FIELD_PX, above 0 where there is tissue.
        glands: Centres [g, 2].
        gland_kind: Index of each gland's shape [g].
        nuclei: Centres [n, 2].
        nucleus_kind: Index into `stamps.nuclei()` [n].
        dark: Dark spots (x, y, strength) [d, 3].
        sites: Centres of all sites [s, 2].
        candidates: "architecture" or "cytology" -> centres of the sites that hold that evidence in the classes that
            have it. In the other classes they are decoys.
        evidence: "architecture" or "cytology" -> centres of the sites that hold it on this slide.
        stains: Optical density (R, G, B) of haematoxylin and of eosin [2, 3].
        light: Light (R, G, B) of bare glass [3].
        texture_seed: Which textures.
        texture_shift: How far they are shifted.
        pen: A stroke of pen: x, y, angle, width, r, g, b.
        fold: A fold of the tissue: x, y, angle, width.
        counts: Numbers of objects.
    """

    side0_px: int
    tissue: np.ndarray
    glands: np.ndarray
    gland_kind: np.ndarray
    nuclei: np.ndarray
    nucleus_kind: np.ndarray
    dark: np.ndarray
    sites: np.ndarray
    candidates: dict[str, np.ndarray]
    evidence: dict[str, np.ndarray]
    stains: np.ndarray
    light: np.ndarray
    texture_seed: int
    texture_shift: int
    pen: np.ndarray | None = None
    fold: np.ndarray | None = None
    counts: dict[str, int] = field(default_factory=dict)


def make_scene(settings: DemoSettings, index: int) -> Scene:
    """Make the scene of slide `index`. Where its objects lie does not depend on its class."""
    architecture, cytology = settings.labels[index % len(settings.labels)]
    rng = np.random.default_rng([settings.seed, index])
    tissue = _tissue(settings, rng)
    sites = _sites(settings.side0_px, tissue, rng)
    tissue = _around(tissue, sites)
    each = max(1, round(settings.evidence_share * len(sites)))
    order = rng.permutation(len(sites))
    candidates = {"architecture": order[:each], "cytology": order[each : 2 * each]}
    crowded = np.zeros(len(sites), bool)
    cleared = np.zeros(len(sites), bool)
    crowded[candidates["architecture"]] = architecture
    cleared[candidates["cytology"]] = cytology
    glands, owner = _glands(sites, crowded, rng)
    shape = rng.integers(0, GLAND_VARIANTS, len(glands))
    nuclei, kind = _gland_nuclei(glands, shape, cleared[owner], rng)
    plump, plump_kind = _plump_nuclei(sites, cleared, glands, rng)
    stroma, stroma_kind = _stroma_nuclei(settings.side0_px, tissue, glands, rng)
    kind = np.concatenate([kind, plump_kind, stroma_kind])
    nuclei = np.concatenate([nuclei, plump, stroma])
    dark = _dark_spots(sites[order[: 2 * each]], sites[order[2 * each :]], settings.hint, rng)
    evidence = {"architecture": sites[crowded], "cytology": sites[cleared]}
    scene = Scene(
        settings.side0_px,
        tissue,
        glands,
        shape,
        nuclei,
        kind,
        dark,
        sites,
        {kind: sites[chosen] for kind, chosen in candidates.items()},
        evidence,
        *_look(rng),
        texture_seed=int(rng.integers(4)),  # few banks, each shifted: they are slow to make
        texture_shift=int(rng.integers(1024)),
    )
    if settings.test_stain and settings.split(index) == "test":
        scene.stains = scene.stains * np.array(shift_gains(settings.test_stain)[:2])[:, None]
    _marks(scene, rng)
    scene.counts = {"glands": len(glands), "gland_nuclei": GLAND_NUCLEI * len(glands), "dark": 2 * each}
    return scene


def _dark_spots(candidates: np.ndarray, others: np.ndarray, hint: float, rng: np.random.Generator) -> np.ndarray:
    """Draw dark spots (x, y, strength) [d, 3]: on every candidate site, and by chance on some other sites."""
    spots = [np.column_stack([candidates, np.ones(len(candidates))])]
    for place in others:
        if rng.random() < 0.1:  # false spots, alike in every class
            spots.append(np.array([[*place, 1.0]]))
    dark = np.concatenate(spots)
    dark[:, 2] *= hint * rng.uniform(0.8, 1.2, len(dark))
    return dark


def _tissue(settings: DemoSettings, rng: np.random.Generator) -> np.ndarray:
    size = -(-settings.side0_px // FIELD_PX) + 2
    y, x = np.mgrid[:size, :size] / (size - 1) * 2 - 1
    noise = cv2.GaussianBlur(rng.normal(size=(size, size)), (0, 0), max(3.0, size / 12))
    noise = noise / noise.std() * 0.25 - np.maximum(np.abs(x), np.abs(y)) ** 3
    return (noise - np.quantile(noise, 1 - settings.tissue_share)).astype(np.float32)


def _around(tissue: np.ndarray, sites: np.ndarray) -> np.ndarray:
    """Widen the outline so that it holds every site whole. No gland hangs over glass."""
    i, j = np.mgrid[: tissue.shape[0], : tissue.shape[1]] * float(FIELD_PX)
    distance, _ = KDTree(sites).query(np.stack([j, i], axis=-1))
    return np.maximum(tissue, (SITE_RADIUS0 + 70 - distance) / FIELD_PX * 0.1).astype(np.float32)


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
    if len(points) < 3:  # a small slide: one site a corner
        corners = np.array([[0, 0], [0, 1], [1, 0], [1, 1]]) * (side0_px - 2 * margin) + margin
        points = corners + rng.uniform(-4, 4, (4, 2))
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
        centres.append(site + corners @ turn * (CROWDED0 if tight else SPACED0) + 5 * jitter)
    return np.concatenate(centres), np.repeat(np.arange(len(sites)), 4)


def _gland_nuclei(
    glands: np.ndarray, shape: np.ndarray, cleared: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    rings = [gland_nuclei(int(variant), rng) for variant in shape]
    points = np.concatenate([centre + offsets for centre, (offsets, _) in zip(glands, rings, strict=True)])
    kinds = np.concatenate([kind for _, kind in rings])
    return points, kinds + VARIANTS * np.repeat(cleared, GLAND_NUCLEI)


def _plump_nuclei(
    sites: np.ndarray, cleared: np.ndarray, glands: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Nuclei of the glands' kind between the glands of every site, as many and as dense in every class."""
    each = int(np.pi * SITE_RADIUS0**2 / PLUMP0_PX2)
    radius = SITE_RADIUS0 * np.sqrt(rng.random((len(sites), each, 1)))
    angle = rng.uniform(0, 2 * np.pi, (len(sites), each, 1))
    points = (sites[:, None] + radius * np.concatenate([np.cos(angle), np.sin(angle)], -1)).reshape(-1, 2)
    kind = rng.integers(0, VARIANTS, len(points)) + VARIANTS * np.repeat(cleared, each)
    distance, _ = KDTree(glands).query(points)
    kept = distance > GLAND_RADIUS0 + 10
    return points[kept], kind[kept]


def _stroma_nuclei(
    side0_px: int, tissue: np.ndarray, glands: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Spindles along the fibres, single lymphocytes and nests of them (dark, dense, and no evidence)."""
    single = rng.uniform(0, side0_px, (int(side0_px**2 / 2300), 2))
    nests = rng.uniform(0, side0_px, (max(1, round(side0_px**2 / 600_000)), 2))
    crowd = (nests[:, None] + rng.normal(0, 26, (len(nests), 60, 2))).reshape(-1, 2)
    spindle = np.round(rng.normal(0, 3.0, len(single))).astype(int) % VARIANTS + SPINDLE
    round_ = rng.integers(LYMPHOCYTE, LYMPHOCYTE + VARIANTS, len(single))
    kind = np.where(rng.random(len(single)) < 0.6, spindle, round_)
    points = np.concatenate([single, crowd])
    kind = np.concatenate([kind, rng.integers(LYMPHOCYTE, LYMPHOCYTE + VARIANTS, len(crowd))])
    distance, _ = KDTree(glands).query(points)
    kept = inside_tissue(tissue, points) & (distance > GLAND_RADIUS0 + 12)
    return points[kept], kind[kept]


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
