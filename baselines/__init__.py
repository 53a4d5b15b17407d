"""Strategies: one file each. All keep the contract `Strategy`, and all costs go through metered slides."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__, submod_attrs={"contract": ["Outcome", "Strategy", "StrategySettings"]}
)
__all__ += ["DEFAULT", "STRATEGIES"]

if TYPE_CHECKING:
    from baselines.contract import Outcome as Outcome
    from baselines.contract import Strategy as Strategy
    from baselines.contract import StrategySettings as StrategySettings

STRATEGIES: dict[str, str] = {
    "jsma": "baselines.jsma:Joint",
    "exhaustive": "baselines.exhaustive:Exhaustive",
    "exhaustive-all": "baselines.exhaustive:ExhaustiveAll",
    "fixed": "baselines.fixed:Fixed",
    "search": "baselines.search:Search",
    "random": "baselines.random:Random",
    "overview": "baselines.overview:Overview",
    "patch-selection": "baselines.selection:PatchSelection",
    "zoom-in": "baselines.zoom_in:ZoomIn",
    "zoom-mil": "baselines.zoom_mil:ZoomMIL",
    "adaptive": "baselines.adaptive:Adaptive",
    "factorised": "baselines.factorised:Factorised",
    "top": "baselines.top:Top",
    "random-one": "baselines.random_one:RandomOne",
    "stratified": "baselines.stratified:Stratified",
    "stratified-one": "baselines.stratified_one:StratifiedOne",
    "shuffled": "baselines.shuffled:Shuffled",
    "shuffled-place": "baselines.shuffled_place:ShuffledPlace",
    "shuffled-magnification": "baselines.shuffled_magnification:ShuffledMagnification",
    "oracle": "baselines.oracle:Oracle",
    "candidates": "baselines.candidates:Candidates",
    "mean": "baselines.mean:Mean",
    "mean-all": "baselines.mean:MeanAll",
    "max": "baselines.maximum:Max",
    "max-all": "baselines.maximum:MaxAll",
    "dsmil": "baselines.dsmil:DSMIL",
    "dsmil-all": "baselines.dsmil:DSMILAll",
    "clam": "baselines.clam:CLAM",
    "clam-all": "baselines.clam:CLAMAll",
    "transmil": "baselines.transmil:TransMIL",
    "transmil-all": "baselines.transmil:TransMILAll",
    "ips": "baselines.ips:IPS",
    "ips-all": "baselines.ips:IPSAll",
}
"""Name -> `module:Class`."""

DEFAULT: tuple[str, ...] = ("jsma", "exhaustive", "exhaustive-all", "fixed", "search", "random", "overview")
"""What is run where nothing is asked: the paper's claims, their opponents and two controls."""
