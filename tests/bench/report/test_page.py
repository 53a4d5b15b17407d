"""The folder as a reader gets it: whole or not at all, nothing from outside, every image there."""

import html as html_module
import json
import os
import re
import shutil
import subprocess

import pandas as pd
import pytest

from bench import files
from bench.analysis.columns.column import choose_columns
from bench.analysis.columns.pairs import PAIRS
from bench.analysis.columns.results import RESULTS
from bench.analysis.rows import compare
from bench.errors import UsageError
from bench.report.page import build as build_module
from bench.report.page.build import build
from bench.report.page.page import Commands
from bench.report.tables.tables import format_cells
from bench.studies.made_up_runs import write

COMMANDS = Commands("jsma-bench report", "jsma-bench run")


def test_the_page_shows_the_rows_of_compare(report, material):
    page = html_module.unescape((report / "report.html").read_text())
    rows = compare(material.runs)
    for row, cells in zip(rows, format_cells(rows, choose_columns(RESULTS, rows)), strict=True):
        line = "".join(f"<td>{cell}</td>" for cell in cells[2:])
        assert f"{row['strategy']}</th>{line}</tr>" in page
    against = material.parts[0].against
    for cells in format_cells(against, choose_columns(PAIRS, against)):
        assert f"{cells[2]}</td><td>{cells[3]}" in page


def test_the_page_names_failures_and_where_it_comes_from(report):
    page = (report / "report.html").read_text()
    assert "torn.svs" in page and "tile row 1 &lt;is&gt; black" in page and "synthetic-late.partial" in page
    for words in ("jsma-bench report &lt;made-up&gt;", "nothing ran", "cpu synthetic", "Data synthetic", "n_patches"):
        assert words in page
    assert page.count("<img ") == page.count('src="data:image/jpeg;base64,') > 20


def test_tables_and_figures_lie_beside_the_page(report, material):
    about = json.loads((report / "report.json").read_text())
    there = sorted(str(p.relative_to(report)) for p in report.rglob("*") if p.is_file())
    assert sorted([*about["files"], "report.json"]) == there
    figures = {p.stem: p.suffix for p in (report / "figures").iterdir()}
    assert len(list((report / "figures").iterdir())) == 2 * len(figures) >= 28
    stored = pd.read_csv(report / "table.csv")
    assert stored["accuracy"].tolist() == [row["accuracy"] for row in compare(material.runs)]
    assert r"\toprule" in (report / "against.tex").read_text() and "| jsma " in (report / "against.md").read_text()


def test_an_interrupted_report_leaves_the_one_before(report, material, tmp_path, monkeypatch):
    to = tmp_path / "kept"
    shutil.copytree(report, to)
    (to / "report.html").write_text("the one before")
    before = {p: p.read_bytes() for p in to.rglob("*") if p.is_file()}

    def interrupted(*_):
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    monkeypatch.setattr(build_module, "html", interrupted)
    with pytest.raises(KeyboardInterrupt):
        build(material, to, COMMANDS)
    assert {p: p.read_bytes() for p in to.rglob("*") if p.is_file()} == before
    with pytest.raises(KeyboardInterrupt):
        build(material, tmp_path / "new", COMMANDS)
    assert not (tmp_path / "new").exists()


def test_what_a_killed_report_left_is_removed(report, material, tmp_path, monkeypatch):
    to, dead = tmp_path / "to", subprocess.Popen(["true"])
    dead.wait()

    def killed(folder, _):
        owner = files.OURS.search(folder.name)
        assert owner and int(owner["pid"]) == os.getpid() and folder.parent == to
        shutil.copytree(folder, to / folder.name.replace(f"-{owner['pid']}.", f"-{dead.pid}."))
        raise KeyboardInterrupt

    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    with monkeypatch.context() as patched:
        patched.setattr(build_module, "_move", killed)
        with pytest.raises(KeyboardInterrupt):
            build(material, to, COMMANDS)
    assert [p.name for p in to.iterdir()] != []
    build(material, to, COMMANDS)
    assert not list(to.glob(".*")) and (to / "report.html").is_file()


def test_what_another_report_moves_there_meanwhile_is_a_report_s(report, material, tmp_path, monkeypatch):
    to, exists = tmp_path / "to", os.path.lexists

    def moved(path):
        if not to.joinpath("report.html").exists():
            shutil.copytree(report, to, dirs_exist_ok=True)
        return exists(path)

    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    monkeypatch.setattr(build_module.os.path, "lexists", moved)
    assert build(material, to, COMMANDS)[0].is_file()


def test_a_second_report_removes_only_what_the_first_wrote(report, material, tmp_path, monkeypatch):
    to = tmp_path / "again"
    shutil.copytree(report, to)
    (to / "own.txt").write_text("a reader's")
    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    build(material, to, COMMANDS)
    assert (to / "own.txt").exists() and (to / "report.html").exists() and not list((to / "figures").iterdir())


def test_mistakes_get_one_line(runs, tmp_path, command):
    (tmp_path / "file").touch()
    (tmp_path / "empty").mkdir()
    for arguments, words in (
        ((tmp_path / "gone",), "no results folder"),
        ((tmp_path / "empty",), "no finished run"),
        ((runs, "--to", tmp_path / "file"), "cannot be written"),
        ((runs, "--reference", "nope"), "there are: exhaustive"),
        ((runs, "--margin", "2"), "--margin 2"),
    ):
        code, out, err = command("report", *arguments)
        assert (code, out, len(err.splitlines())) == (2, "", 1) and words in err, err
    assert sorted(p.name for p in tmp_path.iterdir()) == ["empty", "file"]


def test_what_must_not_be_compared_is_refused(runs, tmp_path, command):
    write(1, tmp_path / "others")
    (folder,) = (tmp_path / "others").iterdir()
    key = json.loads((folder / "settings.json").read_text())
    (folder / "settings.json").write_text(json.dumps({**key, "data_hash": "other"}))
    code, _, err = command("report", runs, tmp_path / "others", "--to", tmp_path / "to")
    assert code == 4 and "data hash" in err
    shutil.rmtree(folder)
    write(1, tmp_path / "others")  # the same run once more, in another folder
    code, _, err = command("report", runs, tmp_path / "others", "--to", tmp_path / "to")
    assert code == 4 and "must not be counted as two" in err and not (tmp_path / "to").exists()


PROBE = """<script>addEventListener("load", () => { const all = [...document.images], d = document.body.dataset;
d.images = all.length; d.loaded = all.filter(i => i.complete && i.naturalWidth > 0).length;
const svgs = [...document.querySelectorAll(".figures svg")]; d.svgs = svgs.length;
d.seen = svgs.filter(s => s.getBoundingClientRect().height > 100).length;
d.wide = document.documentElement.scrollWidth > innerWidth;
d.requests = performance.getEntriesByType("resource").filter(e => !e.name.startsWith("data:")).length; });
</script></body>"""


def test_a_browser_opens_it_from_disk(report, tmp_path):
    chromium = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if chromium is None:
        pytest.skip("no chromium on this machine: the page is not opened in a browser here")
    text = (report / "report.html").read_text()
    assert text.count("</body>") == 1 and "<script" not in text
    # the page's own policy forbids every request, so that one would be an error in the console; only the probe may run
    probed = text.replace("default-src 'none';", "default-src 'none'; script-src 'unsafe-inline';", 1)
    (tmp_path / "probed.html").write_text(probed.replace("</body>", PROBE))
    done = subprocess.run(
        [
            chromium,
            "--headless",
            "--no-sandbox",
            "--disable-gpu",
            "--enable-logging=stderr",
            "--window-size=500,900",
            f"--user-data-dir={tmp_path / 'profile'}",
            "--dump-dom",
            (tmp_path / "probed.html").as_uri(),
        ],
        capture_output=True,
        text=True,
        timeout=120,
    )
    found = dict(re.findall(r'data-(\w+)="(\w+)"', done.stdout[done.stdout.index("<body") :].split(">", 1)[0]))
    assert int(found["images"]) == int(found["loaded"]) > 20
    assert int(found["svgs"]) == int(found["seen"]) >= 14
    assert found["requests"] == "0" and found["wide"] == "false"
    assert "CONSOLE" not in done.stderr, [line for line in done.stderr.splitlines() if "CONSOLE" in line]


def test_a_report_that_fails_leaves_an_empty_folder_of_the_user(tmp_path, monkeypatch):
    def fails(*_):
        raise UsageError("no")

    monkeypatch.setattr("bench.report.page.build._write", fails)
    (tmp_path / "mine").mkdir()
    for name in ("mine", "made"):
        with pytest.raises(UsageError, match="no"):
            build(None, tmp_path / name, None)
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
