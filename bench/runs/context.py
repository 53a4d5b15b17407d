"""What all runs of one dataset share: the data, the settings, the folder of the runs, and who is told what happens."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import torch

from bench.datasets import Dataset, SlideRecord
from bench.datasets.inspect.verify.quick import open_record
from bench.options import MEMORY
from bench.progress import Quiet, Report
from bench.runs.settings.settings import RunSettings
from jsma.slides import Slide


def say_on_stderr(line: str) -> None:
    """Print one line on stderr."""
    print(line, file=sys.stderr)


@dataclass(frozen=True)
class Context:
    """What all runs of one dataset share.

    Attributes:
        dataset: The labelled slides.
        settings: What decides the results, for all strategies.
        out: The folder of the run directories.
        report: Told how far the work is.
        say: Told one line for people, now and then.
        open_record: Opens the slide of a record.
        accept_findings: Whether runs are made although something is wrong with the data.
        features: Where features are kept: "fresh" (nowhere), "memory", or a folder.
    """

    dataset: Dataset
    settings: RunSettings
    out: Path
    report: Report = field(default_factory=Quiet)
    say: Callable[[str], None] = say_on_stderr
    open_record: Callable[[SlideRecord], Slide] = open_record
    accept_findings: bool = False
    features: str = MEMORY

    @property
    def device(self) -> torch.device:
        """Where the networks are."""
        return torch.device(self.settings.device)
