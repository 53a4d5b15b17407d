"""What is to become of each photo, how photos are converted, and what was done."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from pathlib import Path

from bench.datasets.contract import SlideRecord
from bench.datasets.labels import Row
from bench.datasets.photos.convert import Provenance


@dataclass
class Prepared:
    """What `data prepare` did.

    Attributes:
        folder: Where the pyramids are.
        converted: Number of photos that were converted now.
        kept: Number of photos whose pyramids were there already.
        left: Number of slides that need no conversion and stay where they are.
        pixels: Of the photos that were converted now.
        seconds: That it took.
        failed: Slide -> reason.
        notes: Lines for the user.
        rows: The list of what is to be read.
    """

    folder: Path
    converted: int = 0
    kept: int = 0
    left: int = 0
    pixels: int = 0
    seconds: float = 0.0
    failed: dict[str, str] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    _heeded: set[str] = field(default_factory=set)

    def settle(self, name: str, made: Provenance | str) -> None:
        """Note that a photo was converted, or why it failed. Each kind of note on what was lost is kept once."""
        if isinstance(made, str):
            self.failed[name] = made
            return
        self.converted, self.pixels = self.converted + 1, self.pixels + made.pixels
        self.notes += [f"{name} (the first of such): {note}" for note in made.notes if note not in self._heeded]
        self._heeded.update(made.notes)


@dataclass(frozen=True)
class PrepareSettings:
    """How photos are converted.

    Attributes:
        mpp: Micrometres per pixel, where the dataset does not say.
        quality: Of the JPEG, 1..100; None: pyramids of any quality that are there are kept.
        workers: Processes; 0: as many as cores.
        option: The option that gave the folder of the pyramids, for messages: --to or --data.
    """

    mpp: float | None = None
    quality: int | None = None
    workers: int = 0
    option: str = "--to"

    @property
    def processes(self) -> int:
        """Worker processes: as many as cores by default."""
        return self.workers or os.cpu_count() or 1

    @property
    def way_out(self) -> str:
        """What to do where a file is in the way."""
        return "choose another folder with --to, or move it away" if self.option == "--to" else "move it away"


@dataclass(frozen=True)
class Plan:
    """What becomes of a slide.

    Attributes:
        record: The slide.
        target: Where its pyramid goes.
        stated: Micrometres per pixel by the file itself; None where it does not say.
        pyramid: Whether it needs no conversion.
    """

    record: SlideRecord
    target: Path
    stated: float | None
    pyramid: bool

    def mpp(self, settings: PrepareSettings) -> float | None:
        """Find the scale: as the dataset says, else as the file says, else as the option says."""
        return self.record.mpp or self.stated or settings.mpp
