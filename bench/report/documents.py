"""Files embedded in documents.

`jsma-bench docs README.md` fills the `table:`, `file:` and `columns:` blocks of a document again, and
draws the pictures that it shows from the tables beside them.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from bench.analysis.columns.column import Column
from bench.analysis.columns.results import RESULTS
from bench.files import write_text
from bench.markup import write_markdown
from bench.report.provenance import is_fresh, make_stamp
from bench.runs.layout import read_provenance

BLOCK = re.compile(r"(<!-- (table|file|columns): (\S+) -->\n).*?(<!-- end -->)", re.DOTALL)
COLUMNS = {"results": RESULTS}
"""Name of a `columns:` block -> the columns that it explains."""


def fill_blocks(text: str, root: Path) -> str:
    """The text of a document with every block filled.

    `table`: the first table of a Markdown file; `file`: a whole file; `columns`: what the columns of a table mean.
    """

    def fill(match: re.Match[str]) -> str:
        if match[2] == "columns":
            return f"{match[1]}\n{explain_columns(COLUMNS[match[3]])}\n\n{match[4]}"
        source = (root / match[3]).read_text()
        return match[1] + (first_table(source) if match[2] == "table" else f"```python\n{source}```\n") + match[4]

    return BLOCK.sub(fill, text)


def explain_columns(columns: Sequence[Column]) -> str:
    """A Markdown table of the headings of a table and what they mean."""
    return write_markdown(["column", "meaning"], [[c.heading, c.meaning] for c in columns if c.heading])


def first_table(markdown: str) -> str:
    """The first run of lines that start with a bar."""
    lines: list[str] = []
    for line in markdown.splitlines():
        if line.startswith("|"):
            lines.append(line)
        elif lines:
            break
    return "".join(f"\n{line}" for line in lines)[0:] + "\n\n" if lines else ""


def root_of(document: Path) -> Path:
    """The folder that names in `document` are relative to: the project's."""
    folders = document.resolve().parents
    return next((folder for folder in folders if (folder / "pyproject.toml").is_file()), folders[0])


def stale_pictures(document: Path) -> list[Path]:
    """Pictures that `document` shows and that were not drawn from the CSV beside them as it is now."""
    shown = (document.parent / name for name in re.findall(r"!\[[^]]*\]\(([^)]+\.png)\)", document.read_text()))
    return [png for png in shown if png.with_suffix(".csv").is_file() and not (png.is_file() and is_fresh(png))]


def main(names: list[str]) -> None:
    """Fill every document named, whole or not at all, and draw its stale pictures."""
    for name in names:
        document = Path(name)
        write_text(document, fill_blocks(document.read_text(), root_of(document)))
        for png in stale_pictures(document):
            draw_again(png)


def load_rows(table: Path) -> list[dict[str, Any]]:
    """The rows of a CSV file, None where a cell is empty."""
    frame = pd.read_csv(table)
    return [{k: None if pd.isna(v) else v for k, v in row.items()} for row in frame.to_dict("records")]


def draw_again(png: Path) -> None:
    """Draw `png` from the CSV beside it, of a comparison or a sweep that was saved.

    Raises:
        ValueError: The record beside it says that it is neither.
    """
    table = png.with_suffix(".csv")
    rows = load_rows(table)
    kind = read_provenance(png.with_suffix(".json")).kind
    if kind == "sweep":
        from bench.report.sweep import picture
    elif kind == "table":
        from bench.report.comparison import picture
    else:
        raise ValueError(f"{table}: neither a comparison nor a sweep; draw {png.name} with what wrote the table")
    picture(rows, png, make_stamp(table))
