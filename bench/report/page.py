"""The page: what the template is filled with, as text that is ready to show."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined

from bench import tables
from bench.report.figures import Shown
from bench.report.looks import NUMBERED, gathered, legend_of
from bench.report.material import Material, Part
from bench.report.style import palette
from bench.report.verdict import verdicts

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
    looks, looks_note = gathered(material)
    failed = sorted(material.failed.items())
    template = Environment(
        loader=PackageLoader("bench.report", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    ).get_template("template.html.j2")
    return template.render(
        title=f"Strategies on {', '.join(material.datasets)}", compared=_compared(material), note=material.note,
        left_out=material.left_out, verdicts=verdicts(material),
        datasets=[_dataset(name, parts, figures[name]) for name, parts in material.datasets.items()],
        looks=looks, looks_note=looks_note, legend=legend_of(looks), numbered=NUMBERED,
        failed=failed[:MOST_FAILED], failed_more=max(0, len(failed) - MOST_FAILED),
        unfinished=", ".join(material.unfinished), command=commands.page, produced_by=commands.runs,
        **_origin(material),
    )  # fmt: skip


def _compared(material: Material) -> str:
    names = list(dict.fromkeys(row["strategy"] for part in material.parts for row in part.rows))
    where = "; ".join(
        f"{part.dataset}{'' if part.settings is None else f' [{part.settings}]'}: {part.n}" for part in material.parts
    )
    beside = f", each against {material.reference}" if material.reference else ""
    return f"{len(names)} strategies ({', '.join(names)}){beside}. {where}. jsma-bench {version('jsma-bench')}."


def _dataset(name: str, parts: Sequence[Part], figures: list[Shown]) -> dict[str, Any]:
    sections: dict[str, list[Shown]] = {}
    for figure in figures:
        sections.setdefault(figure.section, []).append(figure)
    beside = labelled_against(parts)
    title = f"Accuracy minus that of {beside[0]['reference']}, same slides" if beside else ""
    return {
        "name": name,
        "several_settings": len(parts) if len(parts) > 1 else 0,
        "table": _table("All strategies", tables.COLUMNS, [(r, tables.cells(r)) for r in labelled_rows(parts)]),
        "against": _table(title, tables.AGAINST, [(r, tables.cells_against(r)) for r in beside]) if beside else None,
        "sections": list(sections.items()),
    }


def labelled_rows(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The rows of `compare`, strategies called as in the figures."""
    return [{**row, "strategy": part.label(row["strategy"]), "name": row["strategy"]} for part in parts
            for row in part.rows]  # fmt: skip


def labelled_against(parts: Sequence[Part]) -> list[dict[str, Any]]:
    """The rows of `against`, strategies called as in the figures."""
    return [{**row, "strategy": part.label(row["strategy"]), "name": row["strategy"]} for part in parts
            for row in part.against]  # fmt: skip


def _table(
    title: str, columns: dict[str, tuple[str, str]], rows: list[tuple[dict[str, Any], list[str]]]
) -> PageTable:
    """Without the columns dataset (the heading says it) and settings (the label says it)."""
    shown = [k for k, key in enumerate(columns) if key not in ("dataset", "settings")]
    headings = [heading for heading, _ in columns.values()]
    colours = palette([row["name"] for row, _ in rows])
    lines = [Line([cells[k] for k in shown], colours[row["name"]]) for row, cells in rows]
    return PageTable(title, [headings[k] for k in shown], lines)


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
            {
                "name": f" of {part.dataset}" + (f" [{part.settings}]" if part.settings else ""),
                "text": json.dumps(part.runs[0].settings, indent=1, sort_keys=True),
            }
            for part in material.parts
        ],
    }
