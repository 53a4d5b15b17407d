"""The page: what the template is filled with, as text that is ready to show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench.analysis.columns.column import Column, Row, choose_columns
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.columns.results import NAMED, RESULTS, STRATEGY
from bench.analysis.entries import Entry
from bench.report.figures.all_figures import Shown
from bench.report.figures.style import colour
from bench.report.material import Material, Part
from bench.report.page.snapshots import NUMBERED, gather_looks, legend_of
from bench.report.page.verdict import verdicts
from bench.report.tables import tables

MOST_FAILED = 50


@dataclass(frozen=True)
class Line:
    """A row of a table; colour: the strategy's."""

    cells: list[str]
    colour: str = ""


@dataclass(frozen=True)
class PageTable:
    """A table of the page; the first cell of a line is its heading."""

    title: str
    headings: list[str]
    lines: list[Line]


@dataclass(frozen=True)
class Commands:
    """What made the page, and what made the runs."""

    page: str
    runs: str


def html(material: Material, figures: dict[str, list[Shown]], commands: Commands) -> str:
    """The whole page; figures: those of each dataset."""
    looks, looks_note = gather_looks(material)
    failed = sorted(material.failed.items())
    template = Environment(
        loader=PackageLoader("bench.report.page", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).get_template("template.html.j2")
    return template.render(
        title=f"Strategies on {', '.join(part.dataset for part in material.parts)}",
        compared=_compared(material),
        notes=[*material.notes, *(f"Left out: {line}" for line in material.left_out)],
        verdicts=verdicts(material),
        datasets=[_dataset(part, figures[part.dataset]) for part in material.parts],
        looks=looks,
        looks_note=looks_note,
        legend=legend_of(looks),
        numbered=NUMBERED,
        failed=failed[:MOST_FAILED],
        failed_more=max(0, len(failed) - MOST_FAILED),
        unfinished=", ".join(material.unfinished),
        command=commands.page,
        produced_by=commands.runs,
        **_origin(material),
    )


def _compared(material: Material) -> str:
    names = list(dict.fromkeys(entry.strategy for part in material.parts for entry in part.entries))
    where = "; ".join(f"{part.dataset}: {part.n}" for part in material.parts)
    beside = f", each against {material.reference}" if material.reference else ""
    return f"{len(names)} strategies ({', '.join(names)}){beside}. {where}. jsma-bench {version('jsma-bench')}."


def _dataset(part: Part, figures: list[Shown]) -> dict[str, Any]:
    sections: dict[str, list[Shown]] = {}
    for figure in figures:
        sections.setdefault(figure.section, []).append(figure)
    named = [NAMED if column is STRATEGY else column for column in RESULTS if column.key not in ("dataset", "settings")]
    beside = [column for column in PAIRS if column.key != "dataset"]
    return {
        "name": part.dataset,
        "several_settings": len(part.settings),
        "table": _make_table("All strategies", named, part.rows),
        "against": _make_table("Accuracy minus that of the reference, same slides", beside, part.against),
        "sections": list(sections.items()),
    }


def _make_table(title: str, columns: Sequence[Column], rows: Sequence[Row]) -> PageTable | None:
    """None without a row."""
    shown = choose_columns(columns, rows)
    lines = zip(tables.format_cells(rows, shown), rows, strict=True)
    coloured = [Line(cells, colour(row["strategy"])) for cells, row in lines]
    return PageTable(title, [column.heading for column in shown], coloured) if rows else None


def _origin(material: Material) -> dict[str, Any]:
    environments = {json.dumps(run.environment, sort_keys=True): run.environment for run in material.runs}
    return {
        "hashes": sorted({(run.dataset, run.data_hash) for run in material.runs}),
        "environments": [
            {
                "hardware": ", ".join(
                    f"{key} {value}" for key, value in sorted(e.items()) if not isinstance(value, dict)
                ),
                "versions": ", ".join(f"{k} {v}" for k, v in sorted(e.get("versions", {}).items())),
            }
            for e in environments.values()
        ],
        "settings": [
            {"name": name, "text": json.dumps(settings, indent=1, sort_keys=True)}
            for name, settings in {
                _heading(entry): entry.runs[0].settings for part in material.parts for entry in part.entries
            }.items()
        ],
    }


def _heading(entry: Entry) -> str:
    return f" of {entry.dataset}" + ("" if entry.differing is None else f" [{entry.differing}]")
