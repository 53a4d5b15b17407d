"""Which store of features serves an encoder. Runs ask here, and nowhere else is a store made."""

from __future__ import annotations

from bench.runs.settings.settings import RunSettings
from jsma.encoders.encoder import Encoder
from jsma.metered.store import FeatureStore


class FeatureStores:
    """The stores of the runs on one dataset: one for each frozen encoder, shared by all strategies, folds and seeds."""

    def __init__(self) -> None:
        self._by_encoder: dict[str, FeatureStore] = {}

    def for_training(self, encoder: Encoder, settings: RunSettings) -> FeatureStore | None:
        """The store that a training uses. None where the encoder is trained or features are to be fresh."""
        if settings.train.features == "fresh" or not settings.encoder.frozen:
            return None
        return self._shared(encoder)

    def for_sweep(self, encoder: Encoder, settings: RunSettings) -> FeatureStore:
        """The store for many predictions of one strategy; a trained encoder gets a new one, for its features only."""
        return self._shared(encoder) if settings.encoder.frozen else FeatureStore(encoder.dim)

    def _shared(self, encoder: Encoder) -> FeatureStore:
        return self._by_encoder.setdefault(encoder.fingerprint, FeatureStore(encoder.dim))
