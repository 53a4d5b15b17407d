"""Frozen or trained networks that turn a patch into a feature: timm models, pathology foundation models, small ones."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "encoder": ["Encoder", "EncoderSettings", "build_encoder"],
        "foundation": ["FOUNDATIONS"],
        "small": ["OWN_ENCODERS"],
    },
)

if TYPE_CHECKING:
    from jsma.encoders.encoder import Encoder as Encoder
    from jsma.encoders.encoder import EncoderSettings as EncoderSettings
    from jsma.encoders.encoder import build_encoder as build_encoder
    from jsma.encoders.foundation import FOUNDATIONS as FOUNDATIONS
    from jsma.encoders.small import OWN_ENCODERS as OWN_ENCODERS
