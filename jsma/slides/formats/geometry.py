"""Which pages of a TIFF are levels of its slide, and how many level-0 pixels lie under a pixel of each."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from jsma.slides.types import GeometryError, Level, both_axes

Size = tuple[int, int]  # width, height
_MASK, _REDUCED = 4, 1  # bits of NewSubfileType
_SAME_SPACING = 1e-3  # Philips writes spacings with six digits


@dataclass(frozen=True)
class Pyramid:
    """The pages of a slide, and the level that each of them is.

    Attributes:
        pages: Pages of tifffile, the finest first.
        levels: The level of each page.
        subifd: Whether the levels are SubIFDs of the first page.
        padded: Whether levels are filled up to whole tiles. Only Philips' own XML says so.
        left_out: Number of pages that could be levels by their size but are not marked as such.
    """

    pages: tuple[Any, ...]
    levels: tuple[Level, ...]
    subifd: bool
    padded: bool
    left_out: int


def size_of(page: Any) -> Size:
    """Return width and height of a tifffile page."""
    return int(page.imagewidth), int(page.imagelength)


def tile_of(page: Any) -> Size:
    """Return width and height of a page's tiles, or of the page itself where it has none."""
    return (int(page.tilewidth), int(page.tilelength)) if page.is_tiled else size_of(page)


def is_reduced(page: Any) -> bool:
    """Tell whether a page is marked as a smaller copy of another (NewSubfileType, or the older SubfileType)."""
    older = page.tags.get(255)
    return bool(int(page.subfiletype or 0) & _REDUCED) or (older is not None and int(older.value) == 2)


def padding_factors(size0: Size, size: Size, tile: Size) -> list[int]:
    """List the powers of two by which a level can have been cut down that was then filled up to whole tiles."""
    found, factor = [], 2
    while factor <= 2 * max(size0):
        if all(-(-full // (factor * side)) * side == px for full, px, side in zip(size0, size, tile, strict=True)):
            found.append(factor)
        factor *= 2
    return found


def find_pyramid(tif: Any, spacings: tuple[tuple[float, float], ...] | None, aperio: bool) -> Pyramid:
    """Find the levels of page 0.

    Args:
        tif: An open TiffFile.
        spacings: Per level, spacing in x and y by Philips' XML; None if it is not such a file.
        aperio: Whether it is a file of Aperio, which does not mark its levels.

    Raises:
        GeometryError: The XML contradicts the sizes of the pages.
    """
    first = tif.pages[0]
    if not first.is_tiled:
        return Pyramid((first,), (_level(first, 1.0, size_of(first)),), False, False, 0)
    subifds = bool(first.subifds)
    found = list(_subifds(first) if subifds else _chained(tif, aperio))
    alike = [page for page in found if page.is_tiled and page.samplesperpixel == first.samplesperpixel]
    if spacings is not None and len(spacings) > len(alike):
        pages, levels = _by_spacing(first, alike, spacings)
        return Pyramid(pages, levels, subifds, False, 0)
    pages, levels, padded = _by_size(first, alike, spacings is not None)
    return Pyramid(pages, levels, subifds, padded, 0 if subifds else _unmarked(tif, len(found)))


def _subifds(first: Any) -> Iterator[Any]:
    for page in first.pages or ():
        yield page.aspage() if hasattr(page, "aspage") else page


def _chained(tif: Any, aperio: bool) -> Iterator[Any]:
    """Yield the pages after the first that are copies of it.

    All but Aperio mark them. A page that is not marked is another picture, and the copies after it are copies of that.
    """
    for page in list(tif.pages)[1:]:
        if not page.is_tiled or int(page.subfiletype or 0) & _MASK or _is_named(page):
            continue
        if not aperio and not is_reduced(page):
            return
        yield page


def _is_named(page: Any) -> bool:
    text = str(page.description or "")[:400].lower()
    return any(text.startswith(word) or f"\n{word}" in text for word in ("label", "macro", "thumbnail"))


def _unmarked(tif: Any, marked: int) -> int:
    return sum(1 for page in list(tif.pages)[1:] if page.is_tiled and not _is_named(page)) - marked


def _by_spacing(
    first: Any, pages: list[Any], spacings: tuple[tuple[float, float], ...]
) -> tuple[tuple[Any, ...], tuple[Level, ...]]:
    size0, levels = size_of(first), [_level(first, 1.0, size_of(first))]
    for page, spacing in zip(pages, spacings[1:], strict=False):
        across, down = (mine / finest for mine, finest in zip(spacing, spacings[0], strict=True))
        factor = round(across) if abs(across - round(across)) <= _SAME_SPACING * across else across
        fits = abs(across - down) <= _SAME_SPACING * across and all(
            full / factor - 1 < px < full / factor + 2 * side
            for full, px, side in zip(size0, size_of(page), tile_of(page), strict=True)
        )
        if not fits:
            width, height = size_of(page)
            raise GeometryError(
                f"level {len(levels)} of {width}x{height} px is cut down by {across:.6g} in x and {down:.6g} in y by "
                f"Philips' XML, but by {size0[0] / width:.6g} and {size0[1] / height:.6g} by its size; "
                "export the slide again"
            )
        inside = tuple(max(1, int(full / factor)) for full in size0)
        levels.append(_level(page, float(factor), (inside[0], inside[1])))
    return (first, *pages), tuple(levels)


def _by_size(first: Any, pages: list[Any], padded: bool) -> tuple[tuple[Any, ...], tuple[Level, ...], bool]:
    """Find levels by their sizes alone. If only padding explains one of them, all are taken to be padded."""
    kept, levels = [first], [_level(first, 1.0, size_of(first))]
    for page in pages:
        size0, size, last = size_of(first), size_of(page), size_of(kept[-1])
        if not (size[0] <= last[0] and size[1] <= last[1] and size != last):
            continue
        cut, filled = both_axes(size0, size), padding_factors(size0, size, tile_of(page))
        if filled and not padded and not (cut and cut.is_integer()):
            return _by_size(first, pages, True)
        if padded and filled:
            if len(filled) > 1:
                continue  # a level of one tile: its size says too little
            cut, size = float(filled[0]), (max(1, size0[0] // filled[0]), max(1, size0[1] // filled[0]))
        if cut is not None and cut > levels[-1].downsample:
            kept.append(page)
            levels.append(_level(page, cut, size))
    return tuple(kept), tuple(levels), padded


def _level(page: Any, downsample: float, inside: Size) -> Level:
    return Level(*inside, downsample, *tile_of(page))


def match_levels(path: str, theirs: tuple[Level, ...], found: Pyramid) -> tuple[Level, ...]:
    """Take the levels that OpenSlide sees in the same TIFF, with our scale where we know it.

    A level is known by its size, as it is stored or without its padding.

    Args:
        path: The file, for messages.
        theirs: The levels that OpenSlide sees.
        found: What the headers say.

    Raises:
        GeometryError: OpenSlide sees a level that the headers do not explain.
    """
    ours: dict[Size, Level] = {}
    for page, level in zip(found.pages, found.levels, strict=True):
        ours |= {size_of(page): level, (level.width_px, level.height_px): level}
    size0, levels = (theirs[0].width_px, theirs[0].height_px), []
    for level in theirs:
        size = (level.width_px, level.height_px)
        known, cut = ours.get(size), both_axes(size0, size)
        if size0 not in ours or (known is None and cut is None):
            ours_text = ", ".join(f"{width}x{height}" for width, height in ours)
            raise GeometryError(
                f"{path}: OpenSlide sees a level of {size[0]}x{size[1]} px in a slide of {size0[0]}x{size0[1]} px, "
                f"the headers give {ours_text}; leave reader= out"
            )
        inside = level if known is None else known
        scale = inside.downsample if known is not None else cut or level.downsample
        levels.append(replace(level, width_px=inside.width_px, height_px=inside.height_px, downsample=scale))
    return tuple(levels)
