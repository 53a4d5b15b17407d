"""All figures of a report in their order, each drawn once and saved as PNG and SVG, or left out with the reason."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench.analysis.columns.results import COSTS
from bench.report.figures.anytime import Anytime
from bench.report.figures.areas import Area
from bench.report.figures.base import NO_SECONDS, NotDrawn, ReportFigure, make_file_name
from bench.report.figures.fronts import Front
from bench.report.figures.letters import encode_letters, legend_of
from bench.report.figures.magnifications import Magnifications
from bench.report.figures.speedups import Speedups
from bench.report.figures.stages import Stages
from bench.report.figures.style import theme, write
from bench.report.figures.training import TrainingCurves
from bench.report.material import Material, Part
from bench.runs.layout import DECODED_PX, SECONDS

FIGURES: tuple[ReportFigure[Any], ...] = (
    Speedups(),
    *(Front(cost) for cost in COSTS.values()),
    Anytime(),
    Stages(),
    Area(SECONDS, "seconds", "inference, seconds a slide", timed=True),
    Area(DECODED_PX, "megapixels", "decoded, megapixels a slide", timed=False),
    TrainingCurves(),
    Magnifications(),
)
"""In the order of the page. Figures of one section stand beside each other."""


@dataclass(frozen=True)
class Shown:
    """A figure of the page.

    Attributes:
        section: Its heading.
        name: Of its files.
        caption: The sentences under it.
        svg: To stand in the page; "" where it is not drawn.
        reason: Why it is not drawn.
    """

    section: str
    name: str
    caption: str
    svg: str = ""
    reason: str = ""


def draw_all(material: Material, part: Part, folder: Path) -> list[Shown]:
    """Draw every figure of one dataset and save it into `folder`."""
    return [shown for figure in FIGURES for shown in draw_figure(figure, material, part, folder)]


def draw_figure(figure: ReportFigure[Any], material: Material, part: Part, folder: Path) -> list[Shown]:
    """Draw one figure and save its drawings, or say why there is none."""
    prefix = "" if len(material.parts) == 1 else f"{make_file_name(part.dataset)}-"
    try:
        found = collect_data(figure, material, part)
    except NotDrawn as why:
        return [Shown(figure.section, figure.name, figure.title, reason=str(why))]
    drawn = []
    for own, data in found.items():
        name = f"{prefix}{figure.name}" + (f"-{own}" if own else "")
        with theme(name):
            drawing = figure.draw(part, data)
            caption = figure.write_caption(part, data) + legend_of(encode_letters(drawing))
            drawn.append(Shown(figure.section, name, caption, write(drawing, folder, name)))
    return drawn


def collect_data(figure: ReportFigure[Any], material: Material, part: Part) -> dict[str, Any]:
    """The data of a figure; seconds of several machines are not drawn.

    Raises:
        NotDrawn: These runs do not have the figure.
    """
    if figure.timed and material.no_seconds:
        raise NotDrawn(NO_SECONDS)
    return figure.collect_data(material, part)
