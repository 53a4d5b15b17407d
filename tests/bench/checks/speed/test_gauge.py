"""The measuring process drives whichever revision comes first on its path, so it may know public faces only."""

import ast
from dataclasses import dataclass

from bench.checks.speed.gauge.workload import _settings
from bench.checks.speed.measuring.process import ROOT

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
