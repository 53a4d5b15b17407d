"""From attention to draws to estimates: samplers, the estimators that belong to them, and how certain they leave us."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "certainty": ["Sharpness", "best_sharpness"],
        "estimators": ["ESTIMATORS", "estimate"],
        "sampling": [
            "Draw",
            "masked_log_probs",
            "sample_systematic",
            "sample_without_replacement",
            "sampler_of",
            "top_n",
        ],
    },
)

if TYPE_CHECKING:
    from jsma.draws.certainty import Sharpness as Sharpness
    from jsma.draws.certainty import best_sharpness as best_sharpness
    from jsma.draws.estimators import ESTIMATORS as ESTIMATORS
    from jsma.draws.estimators import estimate as estimate
    from jsma.draws.sampling import Draw as Draw
    from jsma.draws.sampling import masked_log_probs as masked_log_probs
    from jsma.draws.sampling import sample_systematic as sample_systematic
    from jsma.draws.sampling import sample_without_replacement as sample_without_replacement
    from jsma.draws.sampling import sampler_of as sampler_of
    from jsma.draws.sampling import top_n as top_n
