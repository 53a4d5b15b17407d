"""Features of several slides at once: what a store lacks of all of them is encoded together, in full passes."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from jsma.metered.blame import blamed
from jsma.metered.store import FeatureStore, UnitCost
from jsma.metered.view import blocks_of

if TYPE_CHECKING:
    from jsma.metered.slide import MeteredSlide

TOGETHER = 512  # patches read before they are encoded and kept: bounded memory, full passes


@dataclass
class Ask:
    """What one slide is asked for, on its way through the store.

    Attributes:
        slide: The slide.
        flat: Flat cell indices as they were asked for, [n].
        wanted: The different ones, ascending, [u].
        rows: Their features [u, dim], filled in as they come.
        computed: Those that the store lacked.
        tiles: Number of tiles that were decoded for them.
    """

    slide: MeteredSlide
    flat: np.ndarray
    wanted: np.ndarray
    rows: np.ndarray
    computed: np.ndarray
    tiles: int = 0


def features_of(slides: Sequence[MeteredSlide], cells: Sequence[Tensor]) -> list[Tensor]:
    """Read patches of several slides and encode them together.

    A batch of slides with a few new cells each would otherwise be many small passes of the encoder.

    Args:
        slides: Slides of one pass.
        cells: Flat cell indices of each slide, long [n].

    Returns:
        Features [n, dim] of each slide, in the order of its cells.

    Raises:
        SlideError: A slide cannot be read; the error names it, and nothing is charged.
        ContractError: There are no such cells.
    """
    if not all(hasattr(slide, "_desk") for slide in slides):  # stand-ins of tests know no desk
        return [slide.features(own) for slide, own in zip(slides, cells, strict=True)]
    asked = [own.detach().cpu().numpy() for own in cells]
    for slide, flat in zip(slides, asked, strict=True):
        slide.asked_for(flat)
    store = slides[0]._desk.store if slides else None
    if store is None:
        return [slide._unstored(flat) for slide, flat in zip(slides, asked, strict=True)]
    waiting: list[tuple[Ask, np.ndarray, np.ndarray]] = []
    asks = []
    for slide, flat in zip(slides, asked, strict=True):
        wanted = np.unique(flat)
        rows, lacking = store.get(slide._key, wanted)
        asks.append(ask := Ask(slide, flat, wanted, rows, wanted[lacking]))
        for part in blocks_of(slide.view.grid, ask.computed):
            with blamed(slide.id):
                pixels, cost = slide._read(part)
            ask.tiles += cost.tiles
            waiting.append((ask, part, pixels))
            if sum(len(own) for _, own, _ in waiting) >= TOGETHER:
                _encode_waiting(waiting, store)
    _encode_waiting(waiting, store)
    return [ask.slide._settle(ask) for ask in asks]


def _encode_waiting(waiting: list[tuple[Ask, np.ndarray, np.ndarray]], store: FeatureStore) -> None:
    """Encode what was read, keep it, and empty the list."""
    if not waiting:
        return
    pixels = waiting[0][2] if len(waiting) == 1 else np.concatenate([read for _, _, read in waiting])
    first, begun, start = waiting[0][0].slide, time.perf_counter(), 0
    with torch.no_grad():
        features = first._encode(pixels, kept=True).cpu().numpy()
    patch_s = (time.perf_counter() - begun) / len(pixels)
    flops = first._desk.flops_per_patch(*pixels.shape[1:3])
    for ask, part, _ in waiting:
        own, start = features[start : start + len(part)], start + len(part)
        store.note(ask.slide._key, UnitCost.of_encoding(patch_s, flops, len(part)))
        store.put(ask.slide._key, ask.slide.view.grid.n_cells + 1, part, own)
        ask.rows[np.searchsorted(ask.wanted, part)] = own
    waiting.clear()
