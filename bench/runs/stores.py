"""Which store of features serves an encoder. Runs ask here, and nowhere else is a store made.

Features are kept nowhere, in memory, or in a folder. This decides no result.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from bench.datasets.content import slide_digests
from bench.options import FRESH, MEMORY, named_folder
from bench.runs.features.folder import feature_folder
from bench.runs.kept.environment import environment
from jsma.metered.store import FeatureStore

if TYPE_CHECKING:
    from collections.abc import Iterable

    from bench.datasets import SlideRecord
    from bench.runs.settings.settings import RunSettings
    from jsma.encoders.encoder import Encoder

INDEX_BYTES = 4  # of the number of a cell, beside its feature


class FeatureStores:
    """The stores of one process, one for each frozen encoder; all strategies, folds and seeds share them.

    What a run is charged does not depend on where features are kept: each feature is paid for once, at its first use.

    Args:
        where: FRESH: kept nowhere, and computed again at each use; MEMORY: as long as the process lives; else the
            name of a folder, which other processes fill and use as well.
        records: The slides whose features may be kept in a folder.

    Raises:
        UsageError: The folder holds something else, or it cannot be written.
    """

    def __init__(self, where: str = MEMORY, records: Iterable[SlideRecord] = ()) -> None:
        self.where = where
        named = named_folder(where)
        self.folder = None if named is None else feature_folder(named, "--features")
        self._known: dict[str, FeatureStore] = {}
        self._content: dict[str, str | None] = {}
        if self.folder is not None:
            records = list(records)
            digests = slide_digests([record.path for record in records])
            self._content = dict(zip([record.id for record in records], digests, strict=True))

    def for_training(self, encoder: Encoder, settings: RunSettings) -> FeatureStore | None:
        """The store that a training uses. None where the encoder is trained or features are to be fresh."""
        if settings.train.features == "fresh" or not settings.encoder.frozen:
            return None
        return self.of(encoder)

    def for_sweep(self, encoder: Encoder, settings: RunSettings) -> FeatureStore:
        """The store for many predictions of one strategy; a trained encoder gets a new one, for its features only."""
        return self.of(encoder) if settings.encoder.frozen else FeatureStore(encoder.dim)

    def of(self, encoder: Encoder) -> FeatureStore:
        """The store of a frozen encoder."""
        if encoder.fingerprint not in self._known:
            self._known[encoder.fingerprint] = self._made(encoder)
        return self._known[encoder.fingerprint]

    def _made(self, encoder: Encoder) -> FeatureStore:
        if self.folder is None:
            return FeatureStore(encoder.dim, 0 if self.where == FRESH else None, encoder.settings.precision)
        from bench.runs.features.disk_store import DiskStore, Shelf
        from jsma.encoders.encoder import STEADY

        settings, device = encoder.settings, encoder.mean.device.type
        # the last bits of a feature depend on the kind of device, and on the patches of a pass where these are few
        passes = f"-{settings.chunk}" if settings.chunk is not None and settings.chunk < STEADY else ""
        name = f"{encoder.fingerprint}-{settings.precision}-{device}{passes}"
        said = {"name": settings.name, "stage": settings.stage, "fingerprint": encoder.fingerprint, "device": device}
        shelf = Shelf(self.folder / name, self._content, _machine(device), said)
        return DiskStore(encoder.dim, shelf, settings.precision)

    def flush(self) -> None:
        """Write what waits to be written, so that other processes find it."""
        for store in self._known.values():
            store.flush()

    def record(self, encoder: Encoder, counters: dict[str, int]) -> dict[str, Any]:
        """For the record of a training with a store.

        Args:
            encoder: Of the features.
            counters: What the training spent (`jsma.meter.Counters`).

        Returns:
            kept: "fresh", "memory" or "folder"; bytes: what the features that the training paid for take where they
            are kept; charged_at: the machines of the folder's unit costs, from which seconds were charged.
        """
        features = counters["patches"] - counters["store_hits"]
        width = encoder.dim * np.dtype(encoder.settings.precision).itemsize + INDEX_BYTES
        kept = self.where if self.folder is None else "folder"
        return {"kept": kept, "bytes": features * width, "charged_at": self.of(encoder).machines}


def _machine(device: str) -> dict[str, Any]:
    """What seconds depend on, as plain data."""
    import torch

    here = environment()
    gpu = here["gpu"] if device == "cuda" else "none"
    return {"cpu": here["cpu"], "cores": here["cores"], "threads": torch.get_num_threads(), "gpu": gpu}
