"""A planned mosaic to pixels, one row of cells after the other."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache

import cv2
import numpy as np

from bench.datasets.generated.mosaic.plan import Material, Mosaic, Tile
from jsma.slides.formats.photo import load_photo
from jsma.slides.stains import match_table, shift_stains

GLASS = (243, 242, 244)  # no tissue by colour and by density, and not the pure white of a tile that is missing
PHOTOS_IN_MEMORY = 4


def draw_bands(material: Material, mosaic: Mosaic, band_px: int) -> Iterator[np.ndarray]:
    """Level 0 of the mosaic from the top down; a row of cells and a band are in memory.

    Yields:
        uint8 [band_px, columns * tile_px, 3]; the last one may be lower.
    """
    held = np.empty((0, material.settings.columns * material.tile_px, 3), np.uint8)
    for row in range(material.settings.rows):
        held = np.concatenate([held, _draw_row(material, mosaic, row)])
        while len(held) >= band_px:
            yield held[:band_px]
            held = held[band_px:]
    if len(held):
        yield held


def _draw_row(material: Material, mosaic: Mosaic, row: int) -> np.ndarray:
    """One row of cells, uint8 [tile_px, columns * tile_px, 3]."""
    side = material.tile_px
    pixels = np.empty((side, material.settings.columns * side, 3), np.uint8)
    pixels[:] = GLASS
    for tile in mosaic.tiles:
        if tile.row == row:
            pixels[:, tile.column * side : (tile.column + 1) * side] = draw_tile(material, mosaic.part, tile)
    return pixels


def draw_tile(material: Material, part: str, tile: Tile) -> np.ndarray:
    """One tile, cut, turned and stained: uint8 [tile_px, tile_px, 3]."""
    photo, side = material.photos[tile.photo], material.tile_px
    window = _decode(photo.path)[tile.y_px : tile.y_px + side, tile.x_px : tile.x_px + side]
    turned = np.rot90(window[:, ::-1] if tile.turn >= 4 else window, tile.turn % 4)
    if material.target is not None:
        turned = cv2.LUT(np.ascontiguousarray(turned), match_table(photo.stain, material.target))
    if part == "test" and material.settings.test_stain:
        turned = shift_stains(turned, material.settings.test_stain)
    return turned


@lru_cache(maxsize=PHOTOS_IN_MEMORY)
def _decode(path: str) -> np.ndarray:
    return load_photo(path).pixels
