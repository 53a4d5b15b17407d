"""Pictures of what each strategy looked at: overview, attention, boxes in draw order, patches."""

from __future__ import annotations

import base64
import io
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache

import matplotlib
import numpy as np
from matplotlib import font_manager
from PIL import Image, ImageDraw, ImageFont

from bench.report.figures.style import SAFE_COLOURS
from bench.report.material import Material
from bench.runs.layout import SNAPSHOTS
from bench.runs.observed.snapshots import SEED, Snapshot, read_snapshots

MOST = 36  # looks in one page
NUMBERED = 64  # more boxes than this are drawn without numbers
SIDE_PX, MAP_PX, PATCH_PX, PATCH_COLUMNS = 512, 220, 72, 8
COLOURS = [SAFE_COLOURS[name] for name in ("blue", "orange", "green", "red", "sky", "yellow")]


@dataclass(frozen=True)
class Picture:
    """An image in the page: a data URI, its alternative text, and a caption ("" for none)."""

    uri: str
    alt: str
    caption: str = ""


@dataclass(frozen=True)
class Seen:
    """One strategy's look at a slide. words: prediction and counts; maps: attention per magnification."""

    strategy: str
    words: str
    right: bool
    boxes: Picture | None
    maps: list[Picture]
    patches: Picture | None


@dataclass(frozen=True)
class SlideLooks:
    """All looks at one slide. legend: (um/px, colour of its boxes), finest first."""

    slide: str
    label: str
    dataset: str
    overview: Picture
    legend: list[tuple[str, str]]
    seen: list[Seen]


def gather_looks(material: Material) -> tuple[list[SlideLooks], str]:
    """Looks by slide, and a note: how many are left out, or why there is none."""
    found: dict[tuple[str, str], SlideLooks] = {}
    shown = there = 0
    for dataset, strategy, look in _stored(material):
        there += 1
        if shown >= MOST:
            continue
        shown += 1
        if (dataset, look.slide) not in found:
            found[dataset, look.slide] = _slide(dataset, look)
        found[dataset, look.slide].seen.append(_seen(strategy, look))
    if not there:
        return [], "no run here kept looks; runs of this version keep them for 3 test slides of training seed 0"
    return list(found.values()), "" if shown == there else f"{shown} of {there} looks are shown"


def _stored(material: Material) -> Iterator[tuple[str, str, Snapshot]]:
    for part in material.parts:
        for entry in part.entries:
            for run in (run for run in entry.runs if run.seed == SEED):
                for look in read_snapshots(run.path / SNAPSHOTS):
                    yield part.dataset, entry.name, look


def _slide(dataset: str, look: Snapshot) -> SlideLooks:
    height, width = look.overview.shape[:2]
    said = f"what attention sees: {width} x {height} px"
    overview = Picture(_encode_uri(_enlarge(look.overview, MAP_PX)), f"Overview of {look.slide}", said)
    legend = [(f"{mpp:g} um/px", COLOURS[k % len(COLOURS)]) for k, mpp in enumerate(look.mpps)]
    return SlideLooks(look.slide, look.label, dataset, overview, legend, [])


def _seen(strategy: str, look: Snapshot) -> Seen:
    sure = look.probabilities.get(look.predicted)
    words = f"says {look.predicted}" + ("" if sure is None else f" ({sure:.2f})") + f", {look.n_patches} patches"
    if look.n_patches > len(look.patches):
        words += f", the first {len(look.patches)} shown" if look.n_patches <= NUMBERED else ""
    boxes = patches = None
    if look.n_patches:
        boxes = Picture(_encode_uri(draw_boxes(look)), f"Patches read by {strategy} on the slide")
    if 0 < look.n_patches <= NUMBERED and len(look.patches):
        patches = Picture(_encode_uri(draw_patches(look)), f"The patches read by {strategy}, in draw order")
    return Seen(strategy, words, look.predicted == look.label, boxes, attention_maps(strategy, look), patches)


def attention_maps(strategy: str, look: Snapshot) -> list[Picture]:
    """One picture a magnification: the thumbnail in grey under the map, which is scaled to its own maximum."""
    if not look.attention:
        return []
    grey = np.asarray(Image.fromarray(look.thumbnail).convert("L"), np.float32)
    found = []
    for mpp, values, size0 in zip(look.mpps, look.attention, look.map0, strict=True):
        share = float(values.sum())
        density = _on_slide(values, size0, look, grey.shape)
        density /= max(float(density.max()), 1e-12)
        colour = matplotlib.colormaps["inferno"](density)[..., :3] * 255
        mixed = 0.35 * grey[..., None] + 0.65 * colour
        picture = _enlarge(mixed.round().astype(np.uint8), MAP_PX)
        said = f"{mpp:g} um/px: p = {share:.2f}"
        found.append(Picture(_encode_uri(picture), f"Attention of {strategy} at {mpp:g} um/px", said))
    return found


def _on_slide(values: np.ndarray, size0: tuple[float, float], look: Snapshot, shape: tuple[int, ...]) -> np.ndarray:
    """The map at the pixels of a picture of the slide: cells are squares, what overhangs the slide is cut off."""
    rows, columns = values.shape
    y0, x0 = ((np.arange(n) + 0.5) * side / n for n, side in zip(shape, look.size0_px[::-1], strict=True))
    row = np.minimum((y0 * rows / size0[1]).astype(int), rows - 1)
    column = np.minimum((x0 * columns / size0[0]).astype(int), columns - 1)
    return values[np.ix_(row, column)].astype(np.float32)


def draw_boxes(look: Snapshot) -> Image.Image:
    """The thumbnail with a box a patch, coloured by magnification, numbered in draw order from 1 where few."""
    image = _enlarge(look.thumbnail, SIDE_PX)
    scale = image.width / look.size0_px[0]
    draw, numbered = ImageDraw.Draw(image), look.n_patches <= NUMBERED
    for k in reversed(range(len(look.cells0))):  # the first lies on top
        x, y, width, height = look.cells0[k] * scale
        colour = _colour(look, float(look.cell_mpps[k]))
        draw.rectangle((x, y, x + width, y + height), outline=colour, width=2 if numbered else 1)
        if numbered:
            _number(draw, k + 1, x + 2, y + 1, colour)
    return image


def draw_patches(look: Snapshot) -> Image.Image:
    """The patches as read, eight a row in draw order, framed in the colour of their magnification."""
    n, gap = len(look.patches), 4
    columns = min(n, PATCH_COLUMNS)
    pitch = PATCH_PX + gap
    image = Image.new("RGB", (columns * pitch, math.ceil(n / columns) * pitch), "white")
    draw = ImageDraw.Draw(image)
    for k, pixels in enumerate(look.patches):
        x, y = (k % columns) * pitch, (k // columns) * pitch
        colour = _colour(look, float(look.cell_mpps[k]))
        draw.rectangle((x, y, x + pitch - 2, y + pitch - 2), fill=colour)
        inside = (PATCH_PX - 2, PATCH_PX - 2)
        image.paste(Image.fromarray(pixels).resize(inside, Image.Resampling.LANCZOS), (x + 2, y + 2))
        _number(draw, k + 1, x + 3, y + 3, colour)
    return image


def _colour(look: Snapshot, mpp: float) -> str:
    return COLOURS[int(np.argmin(np.abs(np.array(look.mpps) - mpp))) % len(COLOURS)]


def _number(draw: ImageDraw.ImageDraw, number: int, x: float, y: float, colour: str) -> None:
    """A number on a ground of its own, so that it is read on any tissue."""
    box = draw.textbbox((x, y), str(number), font=_font())
    draw.rectangle((box[0] - 1, box[1] - 1, box[2] + 1, box[3] + 1), fill="white", outline=colour)
    draw.text((x, y), str(number), fill="black", font=_font())


@cache
def _font() -> ImageFont.FreeTypeFont:
    """The font that matplotlib brings."""
    return ImageFont.truetype(font_manager.findfont("DejaVu Sans"), 12)


def _enlarge(pixels: np.ndarray, side_px: int) -> Image.Image:
    """With its longer side at side_px; pixels stay squares."""
    image = Image.fromarray(pixels)
    scale = side_px / max(image.size)
    size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
    return image.resize(size, Image.Resampling.NEAREST if scale > 1.5 else Image.Resampling.LANCZOS)


def _encode_uri(image: Image.Image) -> str:
    data = io.BytesIO()
    image.save(data, "JPEG", quality=85)
    return "data:image/jpeg;base64," + base64.b64encode(data.getvalue()).decode()


def legend_of(looks: Sequence[SlideLooks]) -> list[tuple[str, str]]:
    """The magnifications of all slides, each once."""
    return list(dict.fromkeys(entry for one in looks for entry in one.legend))
