"""JSMA: joint spatial and magnification attention sampling, a reconstruction (Zhang et al., CVPRW 2021).

Names are imported when first used, so that `import jsma.slides` (a decoding child process) never loads torch.
"""

from __future__ import annotations

from importlib import import_module
from typing import Any

_HOME = {
    "JSMA": "jsma.model",
    "JSMASettings": "jsma.model",
    "SlideOutput": "jsma.model",
    "AttentionNet": "jsma.networks.attention",
    "CellGrid": "jsma.cells.grid",
    "area_weights": "jsma.cells.grid",
    "tissue_mask": "jsma.cells.tissue",
    "cell_mask": "jsma.cells.tissue",
    "Encoder": "jsma.encoders.encoder",
    "EncoderSettings": "jsma.encoders.encoder",
    "build_encoder": "jsma.encoders.encoder",
    "Draw": "jsma.draws.sampling",
    "masked_log_probs": "jsma.draws.sampling",
    "sample_systematic": "jsma.draws.sampling",
    "sample_with_replacement": "jsma.draws.sampling",
    "sample_without_replacement": "jsma.draws.sampling",
    "sampler_of": "jsma.draws.sampling",
    "top_n": "jsma.draws.sampling",
    "ESTIMATORS": "jsma.draws.estimators",
    "estimate": "jsma.draws.estimators",
}

__all__ = list(_HOME)  # pyright: ignore[reportUnsupportedDunderAll]


def __getattr__(name: str) -> Any:
    """Import `name` from the module that defines it; AttributeError for a name this package does not
    export.
    """
    if name not in _HOME:
        raise AttributeError(f"module 'jsma' has no attribute {name!r}")
    return getattr(import_module(_HOME[name]), name)


def __dir__() -> list[str]:
    return sorted([*globals(), *_HOME])
