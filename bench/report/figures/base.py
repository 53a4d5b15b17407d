"""What a figure of the report is: one class with its section, caption, data and drawing."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from typing import Any, Generic, TypeVar

from matplotlib.figure import Figure

from bench.report.material import Material, Part

NO_SECONDS = "the runs are of several machines, whose seconds are not compared"
Data = TypeVar("Data")


class NotDrawn(Exception):
    """A figure that these runs do not have; its text says why not."""


class ReportFigure(ABC, Generic[Data]):
    """One kind of figure of one dataset. It may have several drawings, such as one a cost.

    A new figure is a subclass with the three methods below, and its place in
    `bench.report.figures.all_figures.FIGURES`.

    Attributes:
        section: Heading of the page under which it stands.
        name: Name of its file, which the names of its drawings are added to.
        title: What is said to be missing where it is not drawn.
        timed: It shows seconds, so that it is not drawn where the runs are of several machines.
    """

    section: str
    name: str
    title: str
    timed: bool = False

    @abstractmethod
    def collect_data(self, material: Material, part: Part) -> dict[str, Data]:
        """Compute what is drawn.

        Args:
            material: Everything that goes into the report.
            part: The runs of one dataset.

        Returns:
            Name of a drawing -> its data; the name is "" where there is one drawing only.

        Raises:
            NotDrawn: These runs do not have the figure.
        """

    @abstractmethod
    def write_caption(self, part: Part, data: Data) -> str:
        """The sentences under one drawing; they say what n is."""

    @abstractmethod
    def draw(self, part: Part, data: Data) -> Figure:
        """One drawing; the note above its axes says what n is."""


def make_file_name(text: Any) -> str:
    """`text` as part of a file's name."""
    return re.sub(r"[^A-Za-z0-9.-]+", "-", str(text)).strip("-") or "x"


def describe_part(part: Part) -> str:
    """The dataset, and how many slides and trainings it is over."""
    return f"{part.dataset}: {part.n}"
