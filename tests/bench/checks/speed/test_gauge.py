"""The measuring process drives whichever revision comes first on its path, so it may know public faces only."""

import ast
import subprocess
import sys
from dataclasses import dataclass

import pytest

from bench.checks.speed import CheckResult
from bench.checks.speed.gauge.workload import _settings
from bench.checks.speed.measuring.measure import Counted
from bench.checks.speed.measuring.process import ROOT, Rig
from bench.checks.speed.verdict.export import pytest_benchmark_json
from bench.errors import UsageError

FACES = {"jsma", "jsma.slides", "jsma.metered", "jsma.meter", "baselines", "baselines.contract"}
GAUGE = ROOT / "bench/checks/speed/gauge"


def imports(text):
    """Modules of this project that the text imports, by name."""
    found = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and not node.level:
            found.add(node.module)
    return {name for name in found if name.split(".")[0] in ("jsma", "baselines", "bench")}


def test_it_imports_public_faces_only():
    """Other modules move between revisions, and then nothing could be compared across the move."""
    assert imports("from jsma.encoders.encoder import Encoder\nimport bench.files, os") == {
        "jsma.encoders.encoder",
        "bench.files",
    }
    files = sorted(GAUGE.glob("*.py"))
    assert files and set.union(*(imports(path.read_text()) for path in files)) <= FACES


def test_settings_that_a_revision_does_not_have_are_left_out():
    @dataclass
    class Older:
        n_patches: int = 1

    assert _settings(Older, n_patches=3, patch_px=64) == Older(3)


def test_an_export_without_its_package_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "pytest_benchmark", None)
    with pytest.raises(UsageError, match="pip install pytest-benchmark"):
        pytest_benchmark_json(CheckResult([], Counted({}, {})), "cpu", Rig(tmp_path))


def test_what_libraries_print_is_no_answer(tmp_path):
    """A library may greet on stdout while it is loaded; the answers go where only the process itself writes."""
    code = "from gauge.answers import ANSWERS; print('hello'); print('answer', file=ANSWERS, flush=True)"
    ran = subprocess.run(
        [sys.executable, "-P", "-c", code], capture_output=True, text=True, env={"PYTHONPATH": str(GAUGE.parent)}
    )
    assert (ran.stdout, ran.stderr) == ("answer\n", "hello\n")
