"""What is seen: tables that are whole at any width, lines where there is no terminal, a list that comes at once."""

import io
import subprocess
import sys
from pathlib import Path

import pytest
from rich.console import Console
from typer.testing import CliRunner

from bench import progress
from bench.analysis.columns.results import RESULTS, STRATEGY
from bench.cli.app import ORDER, app
from bench.cli.commands import compare
from bench.datasets.inspect.verify import VerifySettings
from bench.report.tables import tables
from bench.runs.listing import list_rows
from jsma.metered import ViewSettings
from tests.bench.datasets import images, layouts

ROOT = Path(__file__).resolve().parents[3]
NAMES = ("exhaustive", "exhaustive-all", "shuffled-magnification", "oracle")


def rows(datasets=("demo",)):
    row = dict.fromkeys([column.key for column in RESULTS if column.heading], 1234.5678)
    return [
        {
            **row,
            "dataset": dataset,
            "strategy": name,
            "settings": None,
            "inference_j_per_slide": None,
            "runs": 5,
            "slides": 240,
            "accuracy": 0.958,
            "accuracy_low": 0.933,
            "accuracy_high": 0.978,
            "pareto": ["patches", "Mpx"],
            "inference_s_per_slide": 1.2451,
            "uses_evidence": name == "oracle",
        }
        for dataset in datasets
        for name in NAMES
    ]


def printed(table, monkeypatch, columns, capsys):
    """As `print_table` prints it to a terminal of so many columns, or to a pipe where that is None."""
    monkeypatch.setenv("COLUMNS", str(columns or 80))
    compare.print_table(table)
    return capsys.readouterr().out


@pytest.mark.parametrize("columns", (80, 100, 160, None))
@pytest.mark.parametrize("wide", (False, True))
def test_nothing_of_a_table_is_cut(columns, wide, monkeypatch, capsys):
    found = rows()
    out = printed(tables.terminal(found, wide), monkeypatch, columns, capsys)
    assert not any(line.endswith(" " * 20) for line in out.splitlines())
    lines = [line for line in out.splitlines() if line.strip()]
    for row in found:
        name = STRATEGY.write(row)
        line = next(line for line in lines if f" {name} " in f" {line}" and "0.958" in line)
        assert "0.933-0.978" in line and "0.958" in line and "1245" in line
        assert not wide or "1234.57" in line
    assert "…" not in out and "..." not in out
    if columns and not wide:
        assert max(map(len, lines)) <= columns
    assert ("AUC" in out) == wide and ("dataset" in out) == wide


def test_several_datasets_are_told_apart(monkeypatch, capsys):
    out = printed(tables.terminal(rows(("demo", "bach"))), monkeypatch, None, capsys)
    assert "dataset" in out and out.count("bach") == len(NAMES)


def test_without_a_terminal_a_line_a_stage_and_one_a_while(monkeypatch):
    file, now = io.StringIO(), [100.0]
    monkeypatch.setattr(progress, "stderr", Console(file=file))
    monkeypatch.setattr(progress.time, "monotonic", lambda: now[0])
    report = progress.Bars()
    report.starting()
    for epoch in range(100):
        report("training jsma", epoch + 1, 100)
        now[0] += 1
    report("inference", 1, 9)
    lines = file.getvalue().splitlines()
    assert (
        lines[0].startswith("starting") and lines[1] == "training jsma: 1 of 100" and lines[-1] == "inference: 1 of 9"
    )
    assert 3 <= sum(line.startswith("training") for line in lines) <= 5


def test_the_list_of_strategies_is_that_of_the_classes_and_needs_no_torch():
    from bench.runs.settings.strategies import strategy_class

    found, damaged = list_rows("strategies", Path("runs"))
    assert damaged == []
    for row in found:
        cls = strategy_class(row["name"])
        assert (row["source"], row["evidence"]) == (cls.source, cls.told()), row["name"]
    for what in ("strategies", "datasets", "readers"):
        assert without_torch("list", what) == 0, what


def without_torch(*arguments):
    """Exit code of the command in a process of its own; 99 where it loaded torch."""
    code = (
        "import sys, atexit, os; from bench.cli import main\n"
        "atexit.register(lambda: os._exit(99) if 'torch' in sys.modules else None)\n"
        f"sys.argv[1:] = {list(map(str, arguments))!r}; main()"
    )
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True).returncode


def test_verifying_a_table_needs_no_torch_and_asks_for_the_magnifications_of_a_run(tmp_path):
    records = [{"path": f"{k}.tif", "label": "ab"[k % 2]} for k in range(2)]
    for record in records:
        images.pyramid(tmp_path / record["path"], int(record["path"][0]), 0.5, size=(256, 256))
    assert without_torch("data", "verify", layouts.labelled(tmp_path, records)) in (0, 3)
    assert VerifySettings().mpps == ViewSettings().mpps


def test_help_names_the_commands_in_the_order_of_use_and_version_is_told():
    said = CliRunner().invoke(app, ["--help"]).output
    places = [said.index(f" {name} ") for name in ORDER]
    assert places == sorted(places) and "--install-completion" in said
    assert CliRunner().invoke(app, ["--version"]).output.startswith("jsma-bench 0.")


@pytest.mark.parametrize("mistake", (("--slides", "none.csv"), ("--strategies", "nobody"), ("--preset", "none")))
@pytest.mark.parametrize("command", ("run", "sweep"))
def test_a_mistake_that_can_be_seen_at_once_loads_no_torch(command, mistake):
    assert without_torch(command, *mistake) == 2
