"""The scale of the features, measured on a few random patches of the training slides and charged to every run."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch

from bench.datasets import SlideRecord
from bench.runs.context import Context
from bench.runs.failing import of_a_slide
from jsma.encoders.encoder import Encoder
from jsma.meter import Counters, Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.networks.feature_scale import FeatureScale
from jsma.slides import Slide

SLIDES, PATCHES = 48, 8  # at most so many training slides, patches a magnification of each


@dataclass(frozen=True)
class Calibration:
    """A fitted scale and what fitting it cost."""

    scale: FeatureScale
    seconds: dict[str, float]
    counters: Counters

    def charge(self, meter: Meter) -> None:
        """Add the cost to the meter of a run that uses the scale, under the name "(calibration)"."""
        for stage, seconds in self.seconds.items():
            meter.charge(stage, seconds)
        meter.count("(calibration)", self.counters)


class Calibrations:
    """Scales of features, each measured once for an encoder and a set of training slides, for all strategies."""

    def __init__(self) -> None:
        self._found: dict[tuple[str, str], Calibration] = {}

    def of(self, encoder: Encoder, records: list[SlideRecord], context: Context) -> Calibration | None:
        """The scale for these training slides; None where features are taken as the encoder gives them."""
        if not context.settings.train.standardise:
            return None
        key = (encoder.fingerprint, "|".join(record.id for record in records))
        if key not in self._found:
            found = calibrate(encoder, records, context.open_record, context.settings.view, context.device)
            self._found[key] = found
        return self._found[key]


@torch.no_grad()
def calibrate(
    encoder: Encoder,
    records: list[SlideRecord],
    open_record: Callable[[SlideRecord], Slide],
    view: ViewSettings,
    device: torch.device,
) -> Calibration:
    """Fit a `FeatureScale` on random tissue patches of up to SLIDES of `records`.

    Slides that cannot be read are left out; training lists them.
    """
    generator = torch.Generator().manual_seed(0)
    meter = Meter()
    desk = Desk(meter, encoder, view, device=device)
    rows: list[list[torch.Tensor]] = [[] for _ in range(len(view.mpps) + 1)]
    for index in torch.randperm(len(records), generator=generator)[:SLIDES].tolist():
        record = records[index]
        slide = MeteredSlide(record.id, lambda r=record: open_record(r), desk)
        try:
            drawn = [some_cells(slide, part, generator, PATCHES) for part in slide.view.grid.slices]
            features = slide.features(torch.cat(drawn)).split([len(cells) for cells in drawn])
            for group, found in zip(rows, [*features, slide.overview_feature()[None]], strict=True):
                group.append(found)
        except (OSError, ValueError) as error:
            if not of_a_slide(error):
                raise
        finally:
            slide.close()
    scale = FeatureScale(len(rows), encoder.dim).to(device)
    if rows[-1]:
        scale.fit([torch.cat(group) for group in rows])
    return Calibration(scale, meter.seconds(), meter.total())


def some_cells(slide: MeteredSlide, part: slice, generator: torch.Generator, patches: int) -> torch.Tensor:
    """Up to `patches` random tissue cells of one magnification, flat indices."""
    cells = slide.view.mask[part].nonzero()[:, 0] + part.start
    return cells[torch.randperm(len(cells), generator=generator)[:patches]]
