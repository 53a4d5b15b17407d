"""What decides a run: presets, what the user sets, and the options that each strategy has of its own."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "presets": ["PRESETS", "Preset"],
        "request": ["Request"],
        "settings": ["RunSettings", "TrainSettings"],
        "strategies": ["strategy_class"],
    },
)

if TYPE_CHECKING:
    from bench.runs.settings.presets import PRESETS as PRESETS
    from bench.runs.settings.presets import Preset as Preset
    from bench.runs.settings.request import Request as Request
    from bench.runs.settings.settings import RunSettings as RunSettings
    from bench.runs.settings.settings import TrainSettings as TrainSettings
    from bench.runs.settings.strategies import strategy_class as strategy_class
