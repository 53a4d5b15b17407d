"""What the slides of one pass share: how they are looked at, the meter, the encoder, the store."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from weakref import WeakKeyDictionary

import torch
from torch.utils.flop_counter import FlopCounterMode

from jsma.encoders.encoder import Encoder
from jsma.meter import Meter
from jsma.metered.store import FeatureStore
from jsma.metered.view import ViewSettings
from jsma.networks.feature_scale import FeatureScale

_FLOPS: WeakKeyDictionary[Encoder, dict[tuple[int, int], int]] = WeakKeyDictionary()  # counted once an encoder
_SIDES: WeakKeyDictionary[Encoder, dict[int, int]] = WeakKeyDictionary()


@dataclass
class Desk:
    """What the slides of one pass share.

    Attributes:
        meter: Counts and times what is spent.
        encoder: Turns patches into features.
        view: How slides are looked at.
        store: Keeps features as the encoder gives them, so that each is computed once. None where the encoder is
            trained, or where every read is to be timed.
        scale: Brings features to one scale when they are handed out; None leaves them as they are.
        device: Where the encoder is.
        last_looked: Id of the slide that was looked at last. An error that names no slide is probably about it.
    """

    meter: Meter
    encoder: Encoder
    view: ViewSettings
    store: FeatureStore | None = None
    scale: FeatureScale | None = None
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    last_looked: str = ""

    @contextmanager
    def uncounted(self) -> Iterator[None]:
        """What the body reads and encodes is counted nowhere."""
        meter, self.meter = self.meter, Meter()
        try:
            yield
        finally:
            self.meter = meter

    def flops_per_patch(self, height_px: int, width_px: int) -> int:
        """Count the floating-point operations of the encoder on one patch, with torch's counter."""
        known, key = _FLOPS.setdefault(self.encoder, {}), (height_px, width_px)
        if key not in known:
            blank = torch.zeros((1, height_px, width_px, 3), dtype=torch.uint8, device=self.device)
            with torch.no_grad(), FlopCounterMode(display=False) as counter:
                self.encoder(blank)
            known[key] = int(counter.get_total_flops())
        return known[key]

    def map_side(self, block_px: int) -> int:
        """Pixels along each side of the encoder's feature map of a square of `block_px`; EncoderError without a map."""
        blank = torch.zeros((1, block_px, block_px, 3), dtype=torch.uint8, device=self.device)
        if block_px not in (known := _SIDES.setdefault(self.encoder, {})):
            with torch.no_grad():
                known[block_px] = self.encoder.spatial(blank).shape[-1]
        return known[block_px]
