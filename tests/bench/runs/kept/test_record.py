"""Damaged runs are named in one line and the rest goes on: nothing that was cut or changed enters a table unnoticed."""

import json
import sys

import numpy as np
import pandas as pd
import pytest

from bench.cli import main
from bench.errors import DamagedRunError
from bench.runs.kept.finished import load_all
from bench.runs.kept.record import Record, digest, read_checked, seal, write_sweep
from bench.runs.layout import CURVE, READ_AGAIN, SNAPSHOTS, SWEEP, SWEPT
from bench.runs.observed import snapshots
from bench.studies.made_up_runs import _snapshots
from tests.bench.runs.kept.test_finished import write


def recorded(folder):
    """Give the run in `folder` the record of its files as they are now."""
    files = {path.name: digest(path.read_bytes()) for path in folder.iterdir() if path.name != "status.json"}
    status = {**json.loads((folder / "status.json").read_text()), "failed": {}, "files": files}
    (folder / "status.json").write_text(json.dumps(seal(status)))


@pytest.fixture
def out(tmp_path):
    for strategy in ("exhaustive", "jsma"):
        write(tmp_path, strategy)
        folder = next(tmp_path.glob(f"x-{strategy}-*"))
        (folder / "weights.pt").write_bytes(b"weights" * 100)
        pd.DataFrame({"seconds": np.arange(1.0, 41), "val_accuracy": np.linspace(0, 1, 40)}).to_parquet(folder / CURVE)
        snapshots.write_snapshots(
            _snapshots(
                strategy,
                [{"slide": "s0", "label": "a", "predicted": "a", "prob_benign": 0.5, "prob_tumour": 0.5, "patches": 8}],
                np.random.default_rng(0),
            ),
            folder / SNAPSHOTS,
        )
        recorded(folder)
        swept = {"mode": "sample", "slide": list("abcd"), "label": "a", "predicted": "b", "budget": 4, "draw": 0}
        write_sweep(folder, pd.DataFrame({**swept, "confidence": None}))
    return tmp_path


def parquet(change):
    def damage(file):
        frame = change(pd.read_parquet(file))
        frame.to_parquet(file, index=False)

    return damage


def overwritten(file):
    content = bytearray(file.read_bytes())
    content[20:24] = b"\xff\xfe\xfd\xfc"
    file.write_bytes(content)


def cut(file):
    file.write_bytes(file.read_bytes()[:-3])


def text(content):
    return lambda file: file.write_text(content)


PLAIN = {  # noticed in runs that were made before there were checksums too
    "settings empty": ("settings.json", text("{}"), "no usable dataset"),
    "settings no JSON": ("settings.json", text("{"), "no JSON"),
    "train null": ("train.json", text("null"), "not a JSON object"),
    "train of text": ("train.json", text('{"train_s": "x", "charged_s": 1}'), "train_s"),
    "environment gone": ("environment.json", lambda file: file.unlink(), "environment.json is missing"),
    "status gone": ("status.json", lambda file: file.unlink(), "status.json is missing"),
    "status of another kind": ("status.json", text('{"status": "foo"}'), "'foo'"),
    "status a list": ("status.json", text("[]"), "not a JSON object"),
    "predictions cut short": ("predictions.parquet", cut, "predictions.parquet"),
    "predictions of text": ("predictions.parquet", parquet(lambda f: f.assign(seconds="1 s")), "seconds is of type"),
    "labels of numbers": ("predictions.parquet", parquet(lambda f: f.assign(label=1)), "label is of type"),
    "a column less": ("predictions.parquet", parquet(lambda f: f.drop(columns="predicted")), "no column predicted"),
    "no probabilities": ("predictions.parquet", parquet(lambda f: f.filter(regex="^(?!prob_)")), "prob_CLASS"),
    "no rows": ("predictions.parquet", parquet(lambda f: f[:0]), "no rows"),
    "no columns": ("predictions.parquet", parquet(lambda f: pd.DataFrame()), "no rows"),
    "a slide twice": ("predictions.parquet", parquet(lambda f: pd.concat([f, f[:1]])), "twice"),
}
RECORDED = {
    "one row of predictions": ("predictions.parquet", parquet(lambda f: f[:1]), "predictions.parquet"),
    "another label": ("predictions.parquet", parquet(lambda f: f.assign(predicted="b")), "predictions.parquet"),
    "weights cut short": ("weights.pt", cut, "697 bytes, 700 were written"),
    "weights gone": ("weights.pt", lambda file: file.unlink(), "weights.pt is missing"),
    "other seconds": ("train.json", text('{"train_s": 0.1, "charged_s": 0, "n_train": 20}'), "train.json"),
    "failures taken away": (
        "status.json",
        lambda f: f.write_text(
            f.read_text().replace('"complete"', '"complete" ').replace('"failed": {}', '"failed": {"a": "b"}')
        ),
        "status.json was changed",
    ),
}


for _name, _texts, _numbers in ((n, *columns) for n, columns in READ_AGAIN.items()):
    PLAIN[f"{_name} cut short"] = (_name, cut, _name)
    PLAIN[f"{_name} no parquet"] = (_name, text("PAR1 no more"), _name)
    PLAIN[f"{_name} a column less"] = (
        _name,
        parquet(lambda f, c=_numbers[0]: f.drop(columns=c)),
        f"no column {_numbers[0]}",
    )
    PLAIN[f"{_name} of text"] = (
        _name,
        parquet(lambda f, c=_numbers[0]: f.assign(**{c: "x"})),
        f"{_numbers[0]} is of type",
    )
    RECORDED[f"{_name} 4 bytes"] = (_name, overwritten, "checksum")
PLAIN["looks cut short"] = (SNAPSHOTS, cut, SNAPSHOTS)
PLAIN["looks no zip"] = (SNAPSHOTS, text("PK"), SNAPSHOTS)
PLAIN["looks of something else"] = (SNAPSHOTS, lambda file: np.savez(file, x=np.zeros(3)), SNAPSHOTS)
RECORDED["looks 4 bytes"] = (SNAPSHOTS, overwritten, "checksum")


@pytest.mark.parametrize("case", [*PLAIN, *RECORDED])
@pytest.mark.parametrize("checksums", (False, True))
def test_a_damaged_run_is_one_line_and_the_rest_goes_on(case, checksums, out):
    if not checksums:
        if case in RECORDED:
            pytest.skip("cannot be told without checksums")
        for path in out.glob("*/status.json"):
            path.write_text('{"status": "complete", "failed": {}}')
            (path.parent / SWEPT).unlink()
        assert not load_all([out]).damaged
    file, damage, words = {**PLAIN, **RECORDED}[case]
    folder = next(out.glob("x-jsma-*"))
    damage(folder / file)
    found = load_all([out])
    assert [run.strategy for run in found.runs] == ["exhaustive"]
    (line,) = found.damaged
    assert line.startswith(f"damaged run {folder}: ") and "\n" not in line
    assert line.endswith("; delete this folder and run again") and (words in line or checksums)


def test_a_sweep_that_was_killed_between_its_two_files_is_sound(out):
    folder = next(out.glob("x-jsma-*"))
    with (folder / SWEPT).open("a") as handle:
        handle.write('{"bytes": 1, "sha256": "of one that was never')
    assert not load_all([out]).damaged
    again = pd.read_parquet(folder / SWEEP).assign(draw=1)
    write_sweep(folder, again)
    assert not load_all([out]).damaged and set(pd.read_parquet(folder / SWEEP)["draw"]) == {1}


def test_content_is_checked_when_it_is_read(out):
    file = next(out.glob("x-jsma-*")) / "weights.pt"
    assert read_checked(file) == b"weights" * 100
    overwritten(file)
    assert Record.of(file.parent)  # of equal size: only reading it tells
    with pytest.raises(DamagedRunError, match="checksum"):
        read_checked(file)


@pytest.mark.parametrize("file", ("train.json", CURVE, SNAPSHOTS, SWEEP))
@pytest.mark.parametrize(
    "command",
    (["compare"], ["compare", "--to-accuracy", "0.5"], ["report"], ["list", "runs"], ["list", "runs", "--json"]),
)
def test_commands_name_a_damaged_run_and_end_with_3(command, file, out, monkeypatch, capsys):
    next(out.glob(f"x-jsma-*/{file}")).write_text("null")
    to = ["--to", str(out / "page")] if command == ["report"] else []
    folder = ["--out", str(out)] if command[0] == "list" else [str(out)]
    monkeypatch.setattr(sys, "argv", ["jsma-bench", *command, *folder, *to])
    with pytest.raises(SystemExit) as ended:
        main()
    shown = capsys.readouterr()
    assert ended.value.code == 3 and "exhaustive" in shown.out
    assert [line for line in shown.err.splitlines() if "damaged run" in line and "x-jsma" in line]


def test_slides_that_failed_are_noted_by_compare(out, monkeypatch, capsys):
    folder = next(out.glob("x-jsma-*"))
    status = json.loads((folder / "status.json").read_text())
    del status["seal"]
    (folder / "status.json").write_text(json.dumps(seal({**status, "failed": {"torn.svs": "all black"}})))
    monkeypatch.setattr(sys, "argv", ["jsma-bench", "compare", str(out)])
    with pytest.raises(SystemExit) as ended:
        main()
    assert ended.value.code == 0 and "torn.svs: all black" in capsys.readouterr().err
