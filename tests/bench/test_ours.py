"""What is saved, reported or unpacked overwrites files of the same command only; a user's own of that name stay."""

import zipfile

import pytest

from bench import cli
from bench.analysis.comparison import compare_folders
from bench.checks.speed.baseline_file import check_free
from bench.datasets.fetch.unpack import UnpackError, unpack
from bench.errors import UsageError
from bench.report import comparison, sweep
from bench.report.material import gather
from bench.report.page import build as build_module
from bench.report.page.page import Commands
from bench.runs.layout import Provenance
from bench.studies import made_up_runs


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    out = tmp_path_factory.mktemp("runs")
    made_up_runs.write(4, out)
    return out


@pytest.mark.parametrize("suffix", [".md", ".csv", ".json", ".png"])
def test_a_comparison_is_saved_beside_no_file_of_that_name(runs, tmp_path, suffix, monkeypatch):
    monkeypatch.setattr(comparison, "picture", lambda rows, png, metadata: png.write_bytes(b"drawn"))
    own = tmp_path / f"notes{suffix}"
    own.write_text('{"mine": 1}')
    with pytest.raises(UsageError, match=f"notes{suffix} is there and was not written by --save"):
        comparison.publish(compare_folders([runs], None, 0.02), tmp_path / "notes", "a command")
    assert [p.name for p in tmp_path.iterdir()] == [own.name] and own.read_text() == '{"mine": 1}'
    own.unlink()
    for _ in range(2):  # what it wrote itself, whole or only the first file of it, is written anew
        comparison.publish(compare_folders([runs], None, 0.02), tmp_path / "notes", "a command")
        (tmp_path / "notes.json").unlink()


def test_a_sweep_likewise(tmp_path):
    (tmp_path / "s-equal.md").write_text("mine")
    with pytest.raises(UsageError, match="s-equal.md is there"):
        sweep.publish([], Provenance(kind="sweep", command="c"), tmp_path / "s")


def test_a_report_goes_round_no_file_of_that_name(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    material, commands = gather([runs], None, 0.02), Commands("jsma-bench report", "jsma-bench run")
    (tmp_path / "table.csv").write_text("mine")
    with pytest.raises(UsageError, match="table.csv there was not written by a report"):
        build_module.build(material, tmp_path, commands)
    assert [p.name for p in tmp_path.iterdir()] == ["table.csv"] and (tmp_path / "table.csv").read_text() == "mine"
    (tmp_path / "table.csv").unlink()
    build_module.build(material, tmp_path, commands)
    build_module.build(material, tmp_path, commands)


def test_a_report_that_was_killed_while_it_moved_is_gone_on_with(runs, tmp_path, monkeypatch):
    monkeypatch.setattr(build_module, "draw_all", lambda *_: [])
    material, commands = gather([runs], None, 0.02), Commands("jsma-bench report", "jsma-bench run")
    moves, replace = [], build_module.os.replace

    def killed(source, target):
        if moves:
            raise KeyboardInterrupt
        moves.append(target)
        replace(source, target)

    monkeypatch.setattr(build_module.os, "replace", killed)
    with pytest.raises(KeyboardInterrupt):
        build_module.build(material, tmp_path, commands)
    monkeypatch.setattr(build_module.os, "replace", replace)
    assert build_module.build(material, tmp_path, commands)[0].is_file()


def test_a_baseline_is_saved_over_a_baseline_only(tmp_path, monkeypatch, capsys):
    path = tmp_path / "slides.json"
    path.write_text("{}")
    monkeypatch.setattr("sys.argv", ["jsma-bench", "speed", "save", "--baseline", str(path)])
    with pytest.raises(SystemExit) as stopped:
        cli.main()
    assert stopped.value.code == 2 and "no baseline" in capsys.readouterr().err and path.read_text() == "{}"
    path.unlink()
    check_free(path)


def test_unpacking_keeps_other_files_of_that_name(tmp_path):
    archive, folder = tmp_path / "a.zip", tmp_path / "to"
    folder.mkdir()
    with zipfile.ZipFile(archive, "w") as zipped:
        for name in ("new.csv", "train.csv"):
            zipped.writestr(name, f"{name} as published")
    (folder / "train.csv").write_text("train.csv with labels that were corrected")
    with pytest.raises(UnpackError, match="train.csv would be overwritten by another file"):
        unpack(archive, folder)
    assert [p.name for p in folder.iterdir()] == ["train.csv"] and "corrected" in (folder / "train.csv").read_text()
    (folder / "train.csv").write_text("train.csv as published")  # left by a process that was killed half-way
    assert len(unpack(archive, folder)) == 2
