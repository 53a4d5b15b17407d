"""The folder of a report, written aside and moved into place when it is whole."""

from __future__ import annotations

import os
import shutil
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

from bench import files
from bench.analysis.columns.pairs import PAIRS
from bench.errors import UsageError
from bench.files import writable
from bench.report.figures.all_figures import draw_all
from bench.report.material import Material
from bench.report.page.page import Commands, html
from bench.report.provenance import collect_provenance
from bench.report.tables import tables
from bench.runs.layout import read_provenance

PAGE, INDEX = "report.html", "report.json"


def build(material: Material, to: Path, commands: Commands) -> list[Path]:
    """Write the report to a folder.

    Until all is written nothing is seen under the final names. Other files in the folder stay. Those of an earlier
    report that this one does not have go.

    Args:
        material: what the page shows.
        to: the folder; it is made if need be.
        commands: what the page says of how it and its runs were made.

    Returns:
        The files, the page first.

    Raises:
        UsageError: the folder cannot be written to.
    """
    was_there = to.is_dir()
    folder = files.aside(writable(to, "--to") / ".report")
    try:
        folder.mkdir(parents=True)  # a report that failed may have removed the empty folder meanwhile
        _write(material, folder, commands)
        _check_free(folder, to)
        return _move(folder, to)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if not was_there:
            with suppress(OSError):
                to.rmdir()  # made for nothing, where it is still empty


def _write(material: Material, folder: Path, commands: Commands) -> None:
    (folder / "figures").mkdir()
    figures = {part.dataset: draw_all(material, part, folder / "figures") for part in material.parts}
    _write_tables(material, folder)
    (folder / PAGE).write_text(html(material, figures, commands))
    names = sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file())
    about = collect_provenance(
        "report",
        material.runs,
        commands.runs,
        page=commands.page,
        reference=material.reference,
        notes=material.notes,
        failed=material.failed,
        left_out=material.left_out,
        files=names,
    )
    (folder / INDEX).write_text(about.as_json())


def _write_tables(material: Material, folder: Path) -> None:
    """Numbers as CSV (every key), and as shown in Markdown and LaTeX."""
    rows = [row for part in material.parts for row in part.rows]
    beside = [row for part in material.parts for row in part.against]
    (folder / "table.csv").write_text(tables.as_csv(rows))
    notes = tables.markdown_notes(material.notes)
    (folder / "table.md").write_text(tables.markdown(rows) + "\n" + (f"\n{notes}\n" if notes else ""))
    (folder / "table.tex").write_text(tables.latex(rows) + "\n")
    if beside:
        (folder / "against.csv").write_text(tables.as_csv(beside))
        (folder / "against.md").write_text(tables.markdown(beside, PAIRS) + "\n")
        (folder / "against.tex").write_text(tables.latex(beside, PAIRS) + "\n")


def _check_free(aside: Path, to: Path) -> None:
    """UsageError where a file of the report would overwrite one that no report wrote."""
    names = [str(p.relative_to(aside)) for p in aside.rglob("*") if p.is_file()]
    there = [name for name in names if os.path.lexists(to / name)]
    earlier = _earlier(to)  # after `there`: what another report moves there meanwhile is a report's
    mine = {*earlier, INDEX} if earlier else set()
    foreign = sorted(name for name in there if name not in mine)
    if foreign:
        raise UsageError(
            f"--to {to}: {', '.join(foreign[:3])}{' ...' if foreign[3:] else ''} there was not written by a report and "
            "is not overwritten; choose another folder, or move it away"
        )


def _move(aside: Path, to: Path) -> list[Path]:
    """Every file to its final name, the index first, which says that they are a report's, the page last.

    Then what an earlier report left is removed.
    """
    stale = set(_earlier(to))
    names = sorted((str(p.relative_to(aside)) for p in aside.rglob("*") if p.is_file()), key=_turn)
    for name in names:
        (to / name).parent.mkdir(parents=True, exist_ok=True)
        os.replace(aside / name, to / name)
    for name in stale - set(names):
        (to / name).unlink(missing_ok=True)
    return [to / PAGE, *(to / name for name in names if name != PAGE)]


def _turn(name: str) -> int:
    return {INDEX: 0, PAGE: 2}.get(name, 1)


def _earlier(to: Path) -> Sequence[str]:
    """Files that the report before wrote, by its index; none where there is no readable one."""
    try:
        names = read_provenance(to / INDEX).details["files"]
    except (OSError, ValueError, KeyError, TypeError):
        return ()
    return [name for name in names if not name.startswith("/") and ".." not in Path(name).parts]
