"""What documents show is what files hold; every command has help; the strategy in README works."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from baselines import DEFAULT, STRATEGIES
from bench.report.documents import draw_again, fill_blocks, first_table, main, stale_pictures
from bench.report.provenance import is_fresh

ROOT = Path(__file__).resolve().parents[1]
DOCUMENTS = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_embedded_blocks_are_fresh(document):
    text = document.read_text()
    assert fill_blocks(text, ROOT) == text, f"stale: run jsma-bench docs {document.name}"


def test_a_stale_block_is_noticed(tmp_path):
    (tmp_path / "t.md").write_text("words\n| a |\n| --- |\n| 1 |\n\n| b |\n")
    assert first_table((tmp_path / "t.md").read_text()) == "\n| a |\n| --- |\n| 1 |\n\n"
    stale = "<!-- table: t.md -->\n| a |\n<!-- end -->"
    fresh = fill_blocks(stale, tmp_path)
    assert "| 1 |" in fresh and "| b |" not in fresh and fill_blocks(fresh, tmp_path) == fresh


def test_a_document_that_cannot_be_replaced_stays_as_it_was(tmp_path, monkeypatch):
    """It is written aside and renamed: a kill between the two costs nothing."""

    def refused(*_):
        raise OSError(28, "No space left on device")

    (tmp_path / "t.md").write_text("| 1 |\n")
    page = tmp_path / "page.md"
    page.write_text(stale := "<!-- table: t.md -->\n| a |\n<!-- end -->")
    monkeypatch.setattr(os, "replace", refused)
    with pytest.raises(OSError, match="No space left"):
        main([str(page)])
    assert page.read_text() == stale and sorted(p.name for p in tmp_path.iterdir()) == ["page.md", "t.md"]
    monkeypatch.undo()
    main([str(page)])
    assert "| 1 |" in page.read_text()


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_pictures_show_the_tables_beside_them(document):
    assert not stale_pictures(document), f"stale: run jsma-bench docs {document.name}"


def test_published_pictures_show_their_tables():
    pictures = sorted((ROOT / "results").glob("*.png"))
    assert len(pictures) > 5 and all(is_fresh(png) for png in pictures)


@pytest.mark.parametrize("name", ("full", "sweep"))
def test_a_stale_picture_is_noticed_and_drawn_again(name, tmp_path):
    for suffix in (".csv", ".png", ".json"):
        shutil.copy(ROOT / "results" / f"{name}{suffix}", tmp_path)
    (tmp_path / "page.md").write_text(f"![words]({name}.png)\n")
    assert not stale_pictures(tmp_path / "page.md")
    table = tmp_path / f"{name}.csv"
    lines = table.read_text().splitlines(keepends=True)
    table.write_text("".join(lines[:-1]))  # one row fewer
    assert stale_pictures(tmp_path / "page.md") == [table.with_suffix(".png")]
    draw_again(table.with_suffix(".png"))
    assert not stale_pictures(tmp_path / "page.md")


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda p: p.name)
def test_links_lead_somewhere(document):
    for target in re.findall(r"\]\(([^)#]+)\)", document.read_text()):
        if "://" not in target:
            assert (document.parent / target).exists(), target


def test_every_strategy_is_described():
    table = first_table((ROOT / "docs" / "strategies.md").read_text())
    lines = [line.split("|")[1] for line in table.splitlines() if "|" in line]
    named = {name.strip(" *") for cell in lines[2:] for name in cell.split(",")}
    assert named == set(STRATEGIES)
    bold = {name for name in re.findall(r"\*\*([a-z-]+)\*\*", "".join(lines))}
    assert bold == set(DEFAULT)


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
        ["data", "mosaic"],
        ["docs"],
        ["speed"],
        ["speed", "check"],
    ),
)
def test_every_command_has_help(command):
    done = subprocess.run(
        [sys.executable, "-m", "bench.cli", *command, "--help"], cwd=ROOT, capture_output=True, text=True
    )
    assert done.returncode == 0 and "Usage" in done.stdout


def test_files_of_the_six_tasks_and_all_rooms_are_there():
    text = (ROOT / "CONTRIBUTING.md").read_text()
    table = text.split("## Six tasks")[1].split("## Rules")[0]
    named = set(re.findall(r"`((?:jsma|baselines|bench|docs|tests)/[^` ]*)`", table))
    assert len(named) >= 15 and not [name for name in named if not (ROOT / name).exists()]
    rooms = {path.parent.name for path in (ROOT / "bench").glob("*/__init__.py")}
    assert rooms <= set(re.findall(r"^\| `bench/(\w+)/` ", text, re.M))
