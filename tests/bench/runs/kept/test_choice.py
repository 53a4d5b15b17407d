"""Runs on several data in one folder: the refusal says what there is, and what it says works."""

import json
import os
import re
import sys

import pytest

from bench.cli import main
from bench.errors import UsageError
from bench.runs.kept.choice import Choice
from bench.runs.kept.finished import load_all
from tests.bench.runs.kept.test_finished import write


@pytest.fixture
def out(tmp_path):
    """Two strategies on data d, then, a label being corrected, two on data e."""
    for n, (data, strategy) in enumerate((d, s) for d in ("d111", "e222") for s in ("exhaustive", "jsma")):
        write(tmp_path, strategy, code="")
        folder = next(tmp_path.glob(f"x-{strategy}-0-*"))
        folder = folder.rename(tmp_path / f"{data}-{strategy}")
        key = json.loads((folder / "settings.json").read_text())
        (folder / "settings.json").write_text(json.dumps({**key, "data_hash": data}))
        os.utime(folder / "status.json", (1e9 + n, 1e9 + n))
    return tmp_path


def run(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        main()
    return ended.value.code, capsys.readouterr()


@pytest.mark.parametrize("command", ("compare", "report"))
def test_the_refusal_lists_the_groups_and_its_advice_works(command, out, monkeypatch, capsys):
    to = ["--to", out / "page"] if command == "report" else []
    code, shown = run(monkeypatch, capsys, command, out, *to)
    assert code == 4 and shown.err.count("\n") == 1
    assert "2001-09-09" in shown.err and shown.err.index("--group e222") < shown.err.index("--group d111")
    for advice in ("--latest", *re.findall(r"--group \w+", shown.err)):
        code, shown = run(monkeypatch, capsys, command, out, *to, *advice.split())
        assert code == 0, shown.err


def test_run_folders_themselves_are_accepted(out, monkeypatch, capsys):
    code, shown = run(monkeypatch, capsys, "compare", out / "d111-exhaustive", out / "d111-jsma", "--json")
    assert code == 0 and {row["strategy"] for row in json.loads(shown.out)} == {"exhaustive", "jsma"}


def test_what_is_chosen(out):
    def hashes(choice):
        return [run.data_hash for run in load_all([out, out / "d111-jsma"], choice).runs]

    assert hashes(Choice(latest=True)) == ["e222"] * 2 and hashes(Choice(group="d1")) == ["d111"] * 2
    with pytest.raises(UsageError, match="there are: d111, e222"):
        hashes(Choice(group="zzz"))


def test_of_one_fold_the_newest_split_is_the_latest(tmp_path):
    for n, split in enumerate(("b", "a")):
        write(tmp_path / split, "jsma")
        write(tmp_path / split, "jsma", fold=1)
        for folder in (tmp_path / split).iterdir():
            key = json.loads((folder / "settings.json").read_text())
            key["settings"]["split"] = f"{split}{key['fold']}"
            (folder / "settings.json").write_text(json.dumps(key))
            os.utime(folder / "status.json", (1e9 + n, 1e9 + n))
    found = load_all([tmp_path / "a", tmp_path / "b"], Choice(latest=True)).runs
    assert sorted(run.settings["split"] for run in found) == ["a0", "a1"]
