"""The page: what the template is filled with, as text that is ready to show."""

from __future__ import annotations

import json
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

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
    shown = {key: value for key, value in tables.columns_of(part.rows).items() if key not in ("dataset", "settings")}
    beside = {key: value for key, value in tables.AGAINST.items() if key != "dataset"}
    lines = [Line(_named(tables.cells(row, shown), entry), colour(entry.strategy)) for entry, row in part.pairs]
    against = [
        Line(
            [cell for key, cell in zip(tables.AGAINST, tables.cells_against(row), strict=True) if key in beside],
            colour(row["strategy"]),
        )
        for row in part.against
    ]
    return {
        "name": part.dataset,
        "several_settings": len(part.settings),
        "table": PageTable("All strategies", [heading for heading, _ in shown.values()], lines),
        "against": PageTable(
            "Accuracy minus that of the reference, same slides", [heading for heading, _ in beside.values()], against
        )
        if against
        else None,
        "sections": list(sections.items()),
    }


def _named(cells: list[str], entry: Entry) -> list[str]:
    """The cells of a row with the name of its entry, which says the settings too, in place of the strategy's."""
    plain = entry.strategy if entry.reads is None else f"{entry.strategy}@{entry.reads}"
    return [cells[0].replace(plain, entry.shown, 1), *cells[1:]]


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
