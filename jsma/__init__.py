"""JSMA: joint spatial and magnification attention sampling, a reconstruction (Zhang et al., CVPRW 2021).

Names are imported when they are first used, so that `import jsma.slides` in a decoding process never loads torch.
"""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "cells.grid": ["CellGrid", "area_weights"],
        "cells.tissue": ["cell_mask", "tissue_mask"],
        "draws.estimators": ["ESTIMATORS", "estimate"],
        "draws.sampling": [
            "Draw",
            "masked_log_probs",
            "sample_systematic",
            "sample_with_replacement",
            "sample_without_replacement",
            "sampler_of",
            "top_n",
        ],
        "encoders.encoder": ["Encoder", "EncoderSettings", "build_encoder"],
        "model": ["JSMA", "JSMASettings", "SlideOutput"],
        "networks.attention": ["AttentionNet"],
    },
)

if TYPE_CHECKING:
    from jsma.cells.grid import CellGrid as CellGrid
    from jsma.cells.grid import area_weights as area_weights
    from jsma.cells.tissue import cell_mask as cell_mask
    from jsma.cells.tissue import tissue_mask as tissue_mask
    from jsma.draws.estimators import ESTIMATORS as ESTIMATORS
    from jsma.draws.estimators import estimate as estimate
    from jsma.draws.sampling import Draw as Draw
    from jsma.draws.sampling import masked_log_probs as masked_log_probs
    from jsma.draws.sampling import sample_systematic as sample_systematic
    from jsma.draws.sampling import sample_with_replacement as sample_with_replacement
    from jsma.draws.sampling import sample_without_replacement as sample_without_replacement
    from jsma.draws.sampling import sampler_of as sampler_of
    from jsma.draws.sampling import top_n as top_n
    from jsma.encoders.encoder import Encoder as Encoder
    from jsma.encoders.encoder import EncoderSettings as EncoderSettings
    from jsma.encoders.encoder import build_encoder as build_encoder
    from jsma.model import JSMA as JSMA
    from jsma.model import JSMASettings as JSMASettings
    from jsma.model import SlideOutput as SlideOutput
    from jsma.networks.attention import AttentionNet as AttentionNet
