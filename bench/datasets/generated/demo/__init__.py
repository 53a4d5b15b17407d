"""Generated H&E slides whose label needs the right magnification, with a known answer."""

from bench.datasets.generated.demo.contact_sheet import contact_sheet
from bench.datasets.generated.demo.settings import CLASSES, DemoSettings
from bench.datasets.generated.demo.write import generate, sites_file

__all__ = ["CLASSES", "DemoSettings", "contact_sheet", "generate", "sites_file"]
