"""The process that decodes. A native library that crashes ends it, and not the program that reads slides."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "client": ["InProcess", "Isolated"],
    },
)

if TYPE_CHECKING:
    from jsma.slides.process.client import InProcess as InProcess
    from jsma.slides.process.client import Isolated as Isolated
