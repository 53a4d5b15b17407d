"""What outlives a kill inside a training: one file, whole or not there, from which it goes on bit for bit.

The file: a line of JSON (format, who wrote it, size and SHA-256 of the rest), then what `torch.save` made of plain data
and tensors. Features are not in it: what a training had paid for is computed again when it goes on, at no charge, and
the seconds that this takes are kept apart as `resumed_s`.
"""

from __future__ import annotations

import hashlib
import io
import json
import logging
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from bench.files import remove_leftovers, replacing
from jsma.metered import Desk, MeteredSlide
from jsma.metered.store import UnitCost
from jsma.slides import SlideError

FORMAT = 1
EVERY_S = 30.0  # at the ends of epochs, and so that writing takes at most a share of 1/20
_LOG = logging.getLogger(__name__)


class Checkpoint:
    """The checkpoint of one training.

    Attributes:
        path: Its file; None where no checkpoint is kept.
        made_by: What must be the same for a training to be gone on with: run, code, version of torch, device.
        every_s: It is written at most once in so many seconds.
        resumed_s: Seconds that were spent on bringing back what it held.
    """

    def __init__(self, path: Path | None, made_by: Mapping[str, str] | None = None, every_s: float = EVERY_S) -> None:
        self.path, self.made_by, self.every_s = path, dict(made_by or {}), every_s
        self.resumed_s = 0.0
        self._last, self._took_s = time.monotonic(), 0.0

    @property
    def due(self) -> bool:
        """Whether it is time to write."""
        waited = time.monotonic() - self._last
        return self.path is not None and waited >= max(self.every_s, 20 * self._took_s)

    def write(self, state: dict[str, Any]) -> None:
        """Replace what is there by `state`, whole or not at all. A disk that is full is told, and training goes on."""
        if self.path is None:
            return
        start = time.monotonic()
        buffer = io.BytesIO()
        torch.save(state, buffer)
        rest = buffer.getbuffer()
        head = {"format": FORMAT, **self.made_by, "bytes": len(rest), "sha256": hashlib.sha256(rest).hexdigest()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with replacing(self.path) as temporary, temporary.open("wb") as file:
                file.write(json.dumps(head).encode() + b"\n")
                file.write(rest)
        except OSError as error:
            _LOG.warning("%s: cannot be written (%s); training goes on without it", self.path, error.strerror)
        self._last = time.monotonic()
        self._took_s = self._last - start

    def read(self) -> dict[str, Any] | None:
        """What was written last; None where there is nothing, or nothing that this training can go on with (told)."""
        if self.path is None:
            return None
        remove_leftovers(self.path.parent)  # as large as the checkpoint, of a process killed while it wrote one
        if not self.path.is_file():
            return None
        try:
            head, _, rest = self.path.read_bytes().partition(b"\n")
            said = json.loads(head)
            wanted = {"format": FORMAT, **self.made_by}
            other = [key for key, value in wanted.items() if said.get(key) != value]
            if other:
                return self.ignore(f"of another {' and '.join(other)}")
            if said["bytes"] != len(rest) or said["sha256"] != hashlib.sha256(rest).hexdigest():
                return self.ignore("damaged")
            return torch.load(io.BytesIO(rest), weights_only=True, map_location="cpu")
        except OSError as error:
            return self.ignore(f"unreadable ({error.strerror})")
        except Exception:  # not ours, or cut in its first line: whatever a reader of it raises
            return self.ignore("damaged")

    def remove(self) -> None:
        """Remove the file; the training is over."""
        if self.path is not None:
            with suppress(OSError):
                self.path.unlink(missing_ok=True)

    def ignore(self, why: str) -> None:
        """Say that what is there cannot be gone on with."""
        _LOG.warning("%s: %s checkpoint; ignored, this training starts at its beginning", self.path, why)


NOTHING = Checkpoint(None)


# --- what a training shares: meter, paid features, randomness -------------------------------------------------
def shared_state(desk: Desk, slides: Sequence[MeteredSlide]) -> dict[str, Any]:
    """Meter, which features are paid, what filling the store took, and torch's own randomness, as plain data."""
    meter = desk.meter.state()
    meter["unique"] = {slide: torch.from_numpy(cells) for slide, cells in meter["unique"].items()}
    cuda = torch.cuda.get_rng_state(desk.device) if desk.device.type == "cuda" else None
    return {
        "meter": meter,
        "paid": {slide.id: torch.from_numpy(np.packbits(slide.view.paid)) for slide in slides},
        "unit": None if desk.store is None else asdict(desk.store.unit),
        "random": {"cpu": torch.get_rng_state(), "cuda": cuda},
    }


def bring_back(desk: Desk, slides: Sequence[MeteredSlide], state: dict[str, Any]) -> float:
    """Set meter and paid features as they are in `state`; returns the seconds it took, which no meter counts."""
    start = time.monotonic()
    with desk.uncounted():  # nothing is charged twice
        for slide in slides:
            paid = state["paid"][slide.id].numpy()
            slide.view.paid[:] = np.unpackbits(paid, count=len(slide.view.paid)).astype(bool)
            if desk.store is not None:
                _recompute(slide)
    if desk.store is not None and state["unit"] is not None:
        desk.store.unit = UnitCost(**state["unit"])
    unique = {slide: cells.numpy() for slide, cells in state["meter"]["unique"].items()}
    desk.meter.restore({**state["meter"], "unique": unique})
    return time.monotonic() - start


@torch.no_grad()
def _recompute(slide: MeteredSlide) -> None:
    """Fill the store with what the training had paid for."""
    paid = slide.view.paid
    n_cells = slide.view.grid.n_cells
    cells = torch.from_numpy(np.flatnonzero(paid[:n_cells]))
    with suppress(SlideError):  # training comes across it, and drops the slide
        if len(cells):
            slide.features(cells)
        if paid[n_cells]:
            slide.overview_feature()
        if paid[-1]:
            slide.feature_map()


def bring_back_randomness(desk: Desk, state: dict[str, Any]) -> None:
    """Set torch's own randomness; after everything that draws from it was built."""
    torch.set_rng_state(state["random"]["cpu"])
    if state["random"]["cuda"] is not None and desk.device.type == "cuda":
        torch.cuda.set_rng_state(state["random"]["cuda"], desk.device)


def on_device(state: Any, device: torch.device) -> Any:
    """A copy of a state dict, its tensors on `device`."""
    if isinstance(state, Tensor):
        return state.to(device)
    return {key: on_device(value, device) for key, value in state.items()} if isinstance(state, dict) else state
