"""The layout of a run directory has one home, and the records beside results say what they are."""

import ast
import json
from pathlib import Path

import pytest

from bench.runs import layout
from bench.runs.layout import Provenance, read_provenance

ROOT = Path(__file__).resolve().parents[3]
ROOMS = ("analysis", "cli", "report", "runs", "studies")
READERS = [path for room in ROOMS for path in (ROOT / "bench" / room).rglob("*.py") if path.name != "layout.py"]
FILES = {value for value in vars(layout).values() if isinstance(value, str) and "." in value and " " not in value}


def texts_of(path: Path) -> set[str]:
    """Every string in a file but for docstrings."""
    tree = ast.parse(path.read_text())
    bare = {node.value for node in ast.walk(tree) if isinstance(node, ast.Expr)}
    strings = (node for node in ast.walk(tree) if isinstance(node, ast.Constant) and node not in bare)
    return {node.value for node in strings if isinstance(node.value, str)}


@pytest.mark.parametrize("path", READERS, ids=lambda path: path.relative_to(ROOT / "bench").as_posix())
def test_file_names_of_a_run_are_spelled_in_the_layout_only(path):
    assert {layout.PREDICTIONS, layout.SNAPSHOTS, layout.FILES, layout.PARTIAL} <= FILES
    assert not texts_of(path) & FILES


def test_columns_are_told_by_the_functions_that_name_them():
    assert layout.class_of_column(layout.probability_column("in_situ")) == "in_situ"
    assert layout.is_stage_column(layout.stage_column("read"))
    assert layout.is_magnification_column(layout.magnification_column(12))
    for column in (layout.SLIDE, layout.LABEL, layout.SECONDS, layout.PATCHES):
        assert layout.class_of_column(column) is None
        assert not layout.is_stage_column(column) and not layout.is_magnification_column(column)


def test_a_record_beside_results_is_read_back(tmp_path):
    written = Provenance(kind="sweep", command="jsma-bench sweep", data_hashes=["a"], details={"draws": 3})
    (tmp_path / "x.json").write_text(written.as_json())
    assert read_provenance(tmp_path / "x.json") == written


@pytest.mark.parametrize(
    ("name", "kind"),
    (
        ("sweep", "sweep"),
        ("adaptive", "sweep"),
        ("demo", "table"),
        ("full", "table"),
        ("dials", "study"),
        ("tuning", "study"),
    ),
)
def test_records_of_older_versions_are_read(name, kind):
    found = read_provenance(ROOT / f"results/{name}.json")
    assert found.kind == kind and (kind == "study" or found.data_hashes)


def test_a_report_of_an_older_version_is_no_table(tmp_path):
    (tmp_path / "report.json").write_text(json.dumps({"command": "x", "runs": [], "page": "y"}))
    assert read_provenance(tmp_path / "report.json").kind == "report"


def test_what_is_no_record_is_refused(tmp_path):
    (tmp_path / "x.json").write_text('{"commit": "abc"}')
    with pytest.raises(ValueError, match=r"x\.json is no record of results"):
        read_provenance(tmp_path / "x.json")
    with pytest.raises(ValueError, match="allowed: run, sweep"):
        Provenance(kind="slides", command="x")  # pyright: ignore[reportArgumentType]
    with pytest.raises(ValueError, match="details may not be called runs"):
        Provenance(kind="table", command="x", details={"runs": []})
