"""Generated H&E slides whose label needs the right magnification, with a known answer."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "contact_sheet": ["draw_contact_sheet"],
        "settings": ["CLASSES", "DemoSettings"],
        "write": ["generate", "sites_file"],
    },
)

if TYPE_CHECKING:
    from bench.datasets.generated.demo.contact_sheet import draw_contact_sheet as draw_contact_sheet
    from bench.datasets.generated.demo.settings import CLASSES as CLASSES
    from bench.datasets.generated.demo.settings import DemoSettings as DemoSettings
    from bench.datasets.generated.demo.write import generate as generate
    from bench.datasets.generated.demo.write import sites_file as sites_file
