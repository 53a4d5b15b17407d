"""What documents show is what files hold; every command has help; the strategy in README works."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

from bench.embed import embedded, first_table

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_embedded_blocks_are_fresh(document):
    text = document.read_text()
    assert embedded(text, ROOT) == text, f"stale: run python -m bench.embed {document.name}"


def test_a_stale_block_is_noticed(tmp_path):
    (tmp_path / "t.md").write_text("words\n| a |\n| --- |\n| 1 |\n\n| b |\n")
    assert first_table((tmp_path / "t.md").read_text()) == "\n| a |\n| --- |\n| 1 |\n\n"
    stale = "<!-- table: t.md -->\n| a |\n<!-- end -->"
    fresh = embedded(stale, tmp_path)
    assert "| 1 |" in fresh and "| b |" not in fresh and embedded(fresh, tmp_path) == fresh


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


@pytest.mark.parametrize(
    "command",
    (
        [],
        ["run"],
        ["compare"],
        ["report"],
        ["sweep"],
        ["check"],
        ["list"],
        ["data"],
        ["data", "show"],
        ["data", "prepare"],
        ["baseline"],
        ["baseline", "check"],
    ),
)
def test_every_command_has_help(command):
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *command, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Usage" in done.stdout
