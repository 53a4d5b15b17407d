"""Finished runs as files for people: tables, figures and one HTML page."""

from typing import TYPE_CHECKING

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach(
    __name__,
    submod_attrs={
        "figures.base": ["NotDrawn", "ReportFigure"],
        "material": ["Material", "Part", "gather"],
        "page.build": ["build"],
        "provenance": ["collect_provenance"],
    },
)

if TYPE_CHECKING:
    from bench.report.figures.base import NotDrawn as NotDrawn
    from bench.report.figures.base import ReportFigure as ReportFigure
    from bench.report.material import Material as Material
    from bench.report.material import Part as Part
    from bench.report.material import gather as gather
    from bench.report.page.build import build as build
    from bench.report.provenance import collect_provenance as collect_provenance
