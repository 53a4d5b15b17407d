"""What strategies share and what is no strategy itself: bags, cells, pooling, rounds, the loss."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cells": ["magnification_of", "only_magnification"],
        "loss": ["training_loss"],
        "pooling": ["by_magnification"],
        "whole_bag": ["OneMagnification", "Pooled", "WholeBag"],
    },
)

if TYPE_CHECKING:
    from baselines.parts.cells import magnification_of as magnification_of
    from baselines.parts.cells import only_magnification as only_magnification
    from baselines.parts.loss import training_loss as training_loss
    from baselines.parts.pooling import by_magnification as by_magnification
    from baselines.parts.whole_bag import OneMagnification as OneMagnification
    from baselines.parts.whole_bag import Pooled as Pooled
    from baselines.parts.whole_bag import WholeBag as WholeBag
