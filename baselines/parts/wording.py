"""The words of errors of strategies: who was asked what, what was raised, and which command says more."""

from __future__ import annotations

import inspect
import os
import traceback
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from baselines.contract import Strategy
    from jsma.metered import MeteredSlide


def named(strategy: Strategy, slides: Sequence[MeteredSlide]) -> str:
    """Strategy and slides, for an error."""
    more = f" and {len(slides) - 1} more" if len(slides) > 1 else ""
    return f"strategy {strategy.name!r}, slide {slides[0].id}{more}" if slides else f"strategy {strategy.name!r}"


def told(error: BaseException) -> str:
    """Type, words and place of whatever was raised, in one line."""
    frame = traceback.extract_tb(error.__traceback__)[-1]
    words = " ".join(str(error).split()) or "no message"
    return f"{type(error).__name__}: {words} ({frame.filename}:{frame.lineno})"


def advice(cls: type[Strategy]) -> str:
    """The command that tells what is wrong with a strategy."""
    own = not cls.__module__.startswith("baselines.")
    target = f"{os.path.relpath(inspect.getfile(cls))}:{cls.__name__}" if own else cls.name
    return f"`jsma-bench check {target}` says more"
