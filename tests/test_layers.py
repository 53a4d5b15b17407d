"""Imports run one way: jsma <- baselines <- bench; decoding never loads torch; files stay readable."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
FORBIDDEN = {"jsma": {"baselines", "bench"}, "baselines": {"bench"}}


def imported(path: Path) -> set[str]:
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            names.add(node.module.split(".")[0])
    return names


@pytest.mark.parametrize("package", FORBIDDEN)
def test_imports_run_one_way(package):
    files = list((ROOT / package).rglob("*.py"))
    assert files
    for path in files:
        assert not imported(path) & FORBIDDEN[package], path


def test_measuring_process_runs_on_any_revision():
    """It must drive the jsma and baselines of another revision, so nothing of this one's bench may come with it."""
    files = list((ROOT / "bench/checks/speed/probe").glob("*.py"))
    assert files and not any("bench" in imported(path) for path in files)


def test_decoding_process_never_loads_torch():
    code = "import sys, jsma.slides.process.worker; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


@pytest.mark.parametrize(
    "modules",
    (
        "bench.cli",
        "bench.analysis.rows",
        "bench.report.comparison",
        "bench.report.page.build",
        "bench.datasets",
    ),
)
def test_what_runs_no_model_never_loads_torch(modules):
    """`--help`, `compare`, `report` and the datasets answer at once: torch and timm take seconds to load."""
    code = f"import sys, {modules}; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT).returncode == 0


def test_help_and_a_mistake_load_no_torch(tmp_path):
    code = (
        "import sys, atexit, os; from bench.cli import main\n"
        "atexit.register(lambda: os._exit(99) if 'torch' in sys.modules else None)\n"
        "sys.argv[1:] = {!r}; main()"
    )
    for arguments, expected in ((["--help"], 0), (["compare", "no-such-folder"], 2)):
        done = subprocess.run([sys.executable, "-c", code.format(arguments)], cwd=ROOT, capture_output=True)
        assert done.returncode == expected, done.stderr


def test_files_stay_short():
    for package in ("jsma", "baselines", "bench"):
        for path in (ROOT / package).rglob("*.py"):
            assert len(path.read_text().splitlines()) <= 300, path
