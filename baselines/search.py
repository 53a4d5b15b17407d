"""Magnification search: trains the fixed sampler at each magnification and keeps the best on validation."""

from __future__ import annotations

from baselines.contract import StrategySettings, at_each_magnification
from baselines.fixed import Fixed


class Search(Fixed):
    """`Fixed` once per magnification, charged for all of them: the opponent of the training claim (Zhang et al.)."""

    name = "search"
    source = "the alternative named in Zhang et al., CVPR-W 2021"
    tuned_as = "fixed"

    @classmethod
    def candidates(cls, settings: StrategySettings) -> list[StrategySettings]:
        """See `Strategy`; one candidate a magnification."""
        return at_each_magnification(settings)
