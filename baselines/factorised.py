"""JSMA with a factorised attention, p(magnification) p(place | magnification)."""

from __future__ import annotations

from dataclasses import replace

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter


class Factorised(Joint):
    """JSMA with p(m) p(x|m) in place of one joint softmax over (m, x); else the same sampler and estimators.

    Our own ablation of Zhang et al., CVPR-W 2021: p(x|m) is a softmax over the cells of m, and p(m) a softmax of the
    mean logit of m's cells, so that how sharp the map of a magnification is does not decide how often it is read.
    Unbiased where the estimator is, as JSMA.
    """

    name = "factorised"
    source = "our own ablation of Zhang et al., CVPR-W 2021"
    tuned_as = "jsma"

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        method = replace(settings.method, factorised=True)
        super().__init__(replace(settings, method=method), feature_dim, n_classes, meter)
