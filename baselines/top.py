"""JSMA that takes the N most probable cells at test, in place of a draw."""

from __future__ import annotations

from dataclasses import replace

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter


class Top(Joint):
    """JSMA that reads the N most probable cells at test, and pools them by their probabilities. BIASED.

    Trained as JSMA. At test sum_{q in top N} a_q f_q / sum_{q in top N} a_q is not the expectation sum_i a_i f_i over
    all cells that training fits the head to (in return it does not vary from draw to draw): our own ablation.
    """

    name = "top"
    source = "our own ablation of Zhang et al., CVPR-W 2021"
    tuned_as = "jsma"
    draws = False

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        method = replace(settings.method, sampling="top")
        super().__init__(replace(settings, method=method), feature_dim, n_classes, meter)
