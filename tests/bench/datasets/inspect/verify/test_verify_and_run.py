"""`run` looks before it trains, and says of the data what `data verify` says, word for word."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import tifffile

from bench.datasets import load_dataset
from bench.datasets.inspect.verify import VerifySettings, verify
from bench.datasets.inspect.verify.checks import CHECKS
from bench.datasets.labelled import load
from bench.datasets.splitting import FOLDS
from bench.errors import FindingsError
from bench.progress import Bars
from bench.runs.data_check import DataCheck, check_data
from bench.runs.plan import Request, planned
from bench.runs.settings.settings import RunSettings
from tests.bench.datasets import layouts
from tests.bench.datasets.inspect.verify.test_verify import clean

SMALL = [
    "--preset",
    "tiny",
    "--strategies",
    "overview",
    "--set",
    "name=test_resnet",
    "--set",
    "pretrained=null",
    "--set",
    "epochs=1",
]
COMMON = ("name=test_resnet", "pretrained=null", "epochs=1")


def two_parts(rows, folder):
    rows[0]["patient"], rows[6]["patient"] = "p", "p"


def another_path(rows, folder):
    rows[6] |= {"path": "./s00.tif", "annotation": ""}


def symbolic(rows, folder):
    (folder / "s06.tif").unlink()
    (folder / "s06.tif").symlink_to(folder / "s00.tif")


def hard(rows, folder):
    (folder / "s06.tif").unlink()
    os.link(folder / "s00.tif", folder / "s06.tif")


def content(rows, folder):
    (folder / "s06.tif").write_bytes((folder / "s00.tif").read_bytes())


def two_labels(rows, folder):
    rows.append({**rows[0], "label": "b"})


def repeated(rows, folder):
    rows.append(dict(rows[0]))


def only_in_test(rows, folder):
    rows[6]["label"] = "c"


def absent_from_test(rows, folder):
    rows[7]["split"] = "train"


def written_in_two_ways(rows, folder):
    for row in rows[1::4]:
        row["label"] = "B"


def outline_gone(rows, folder):
    (folder / "s03.xml").unlink()


def outline_broken(rows, folder):
    (folder / "s03.xml").write_text("<ASAP_Annotations><")


def outline_elsewhere(rows, folder):
    (folder / "s03.xml").write_text(layouts.asap_xml([("tumor", [(4000, 4000), (5000, 4000), (5000, 5000)])]))


def five_times(rows, folder):
    rows[2]["mpp"] = "2.5"


def impossible(rows, folder):
    rows[2]["mpp"] = "0.001"


def mixed(rows, folder):
    for row in rows[::2]:
        tiles_at(folder / row["path"], 1.0)


def tiles_at(path, mpp):
    with tifffile.TiffFile(path) as tif:
        image = tif.asarray()
    with tifffile.TiffWriter(path) as tif:
        tif.write(
            image,
            photometric="rgb",
            tile=(128, 128),
            compression="jpeg",
            metadata=None,
            resolution=(1e4 / mpp,) * 2,
            resolutionunit=3,
            compressionargs={"level": 90},
        )


def cut_short(rows, folder):
    (folder / "s00.tif").write_bytes((folder / "s00.tif").read_bytes()[:5000])


def no_slide_of_a_part_reads(rows, folder):
    (folder / "s06.tif").write_bytes(b"II*\0")


def no_validation(rows, folder):
    for k, row in enumerate(rows):
        row["split"] = "train" if k in (0, 2) else "test"
    rows[0]["label"] = "a"
    rows[2]["label"] = "b"


def too_few(rows, folder):
    for row in rows:
        row["split"] = ""
    del rows[5:]


def a_gap_in_a_fold(rows, folder):
    for k, row in enumerate(rows):
        row["split"], row["fold"] = "", str(k % 2)
        row["patient"] = f"p{k // 2}"


STOP = {
    two_parts: "patients: patient p: slides in train and test",
    another_path: "exact duplicates: ./s00.tif: the same file as s00.tif, in train and test",
    symbolic: "exact duplicates: s06.tif: the same file as s00.tif, in train and test",
    hard: "exact duplicates: s06.tif: the same file as s00.tif, in train and test",
    content: "exact duplicates: s06.tif: same content as s00.tif, in train and test",
    two_labels: "labels: s00.tif: one file with the labels a and b",
    repeated: "exact duplicates: s00.tif (line 14): the same file as s00.tif",
    only_in_test: "parts: class c: no readable slide in train, val",
    absent_from_test: "parts: class b: no readable slide in test",
    written_in_two_ways: "labels: class B: 'B' and 'b' differ only in capitals",
    outline_gone: "missing masks: s03.tif: ",
    outline_broken: "bad masks: s03.tif: ",
    outline_elsewhere: "bad masks: s03.tif: ",
    five_times: "mpp: s02.tif: 2.5 um/px in the table, the file says 0.5 (TIFF XResolution)",
    impossible: "mpp: s02.tif: 0.001 um/px (explicit) is no slide's; plausible: 0.05 to 20",
    mixed: "mpp: 0.5 um/px: 6 of 12 slides are coarser (the first: s00.tif, 1 um/px)",
    no_slide_of_a_part_reads: "parts: class a: no readable slide in test",
    no_validation: "parts: {name}: class 'b' has one slide that is not tested",
    too_few: "parts: {name}: class 'b' has 2 slide(s), and 5 parts are drawn",
    a_gap_in_a_fold: "patients: patient p0: slides in fold 0 and fold 1",
}


def context_of(csv, folder, accept=False):
    request = Request(
        slides=csv,
        strategies=("overview",),
        preset="tiny",
        seeds=1,
        out=folder / "runs",
        data=folder,
        assignments=COMMON,
        accept_findings=accept,
    )
    return planned(request, Bars())[0].context


def verified(dataset):
    found = verify(dataset, VerifySettings(RunSettings().view.mpps, 4)).found
    return [f"{check}: {slide}: {text}" for check, some in found.items() if CHECKS[check].quick for slide, text in some]


@pytest.mark.parametrize("broken", STOP, ids=lambda f: f.__name__)
def test_run_stops_with_what_verify_finds(broken, tmp_path):
    rows = [{**row, "fold": ""} for row in clean(tmp_path)]
    broken(rows, tmp_path)
    csv = layouts.labelled(tmp_path, rows)
    with pytest.raises(FindingsError) as error:
        check_data(context_of(csv, tmp_path), (0,))
    first, *lines = str(error.value).splitlines()
    words = STOP[broken].format(name=tmp_path.name)
    assert any(line.startswith(words) for line in lines), lines
    assert f"{len(lines)} finding(s)" in first and "--accept-findings" in first and "near duplicates" in first
    of_verify = verified(load(csv))
    stopping = [line for line in of_verify if CHECKS[line.split(":")[0]].stops]
    assert sorted(lines) == sorted(stopping)
    accepted = check_data(context_of(csv, tmp_path, accept=True), (0,))
    unread = {
        f"{check}: {slide}: {text}" for check in ("unreadable", "no mpp") for slide, text in accepted.unreadable.items()
    }
    assert {*accepted.findings, *unread} >= set(of_verify)


@pytest.mark.parametrize("broken", [cut_short], ids=lambda f: f.__name__)
def test_a_slide_that_cannot_be_read_stops_no_run_and_is_told_alike(broken, tmp_path):
    rows = clean(tmp_path)
    broken(rows, tmp_path)
    csv = layouts.labelled(tmp_path, rows)
    found = check_data(context_of(csv, tmp_path), (0,))
    assert [f"unreadable: {slide}: {text}" for slide, text in found.unreadable.items()] == verified(load(csv))


def test_clean_data_have_no_findings_and_slides_are_opened_once(tmp_path):
    csv = layouts.labelled(tmp_path, clean(tmp_path))
    context, opened = context_of(csv, tmp_path), []
    noting = replace(context, open_record=lambda record: opened.append(record.id) or context.open_record(record))
    assert check_data(noting, (0,)) == DataCheck()
    assert sorted(opened) == sorted(r.id for r in context.dataset.records)


def test_a_copy_that_is_not_complete_is_used_and_told(tmp_path):
    layouts.bach(tmp_path)
    found = verified(load_dataset("bach", None, tmp_path))
    request = Request(
        dataset="bach",
        strategies=("overview",),
        preset="tiny",
        seeds=1,
        out=tmp_path / "r",
        data=tmp_path,
        assignments=COMMON,
    )
    accepted = check_data(planned(request, Bars())[0].context, (0,))
    assert sorted(accepted.findings) == sorted(found) and any(line.startswith("incomplete: b098") for line in found)


def test_findings_stop_the_command_and_what_is_accepted_is_recorded(command, tmp_path):
    rows = clean(tmp_path)
    two_parts(rows, tmp_path)
    csv = layouts.labelled(tmp_path, rows)
    line = "patients: patient p: slides in train and test"
    code, out, err = command("run", "--slides", csv, *SMALL, "--out", tmp_path / "runs")
    assert code == 2 and line in err.splitlines() and not list((tmp_path / "runs").glob("*/"))
    code, out, err = command("run", "--slides", csv, *SMALL, "--out", tmp_path / "runs", "--accept-findings")
    assert code == 0, err
    assert f"found: {line}" in err
    status = json.loads(next((tmp_path / "runs").glob("*/status.json")).read_text())
    assert status["findings"] == [line]


def test_verify_is_asked_of_the_magnifications_and_folds_of_the_run(command, tmp_path):
    """Whatever `run` would find with `--set mpps=` or `--folds`, `data verify` finds with the same words."""
    rows = clean(tmp_path, 10)
    for row in rows:
        del row["split"]
    csv = layouts.labelled(tmp_path, rows)
    parts = [load(csv).split(fold, FOLDS) for fold in (0, 1)]
    damaged = next(r for r in parts[1]["test"] if r in parts[0]["train"])
    Path(damaged.path).write_bytes(Path(damaged.path).read_bytes()[:3000])
    line = f"class {damaged.label}: no readable slide in test"
    for folds, found in (("1", False), ("2", True)):
        code, out, _ = command("data", "verify", csv, "--folds", folds)
        assert code == 3 and (line in out) == found
        code, _, err = command("run", "--slides", csv, *SMALL, "--folds", folds, "--out", tmp_path / "runs")
        assert code == (2 if found else 3) and (line in err) == found  # one unreadable slide alone is left out
    words = "are finer than the slide's 0.5"
    assert words not in command("data", "verify", csv)[1]
    assert words in command("data", "verify", csv, "--mpps", "[0.1,0.2]")[1]
    run = ("run", "--slides", csv, *SMALL, "--set", "mpps=[0.1,0.2]", "--set", "mpp=0.1", "--out", tmp_path / "runs")
    assert words in command(*run)[2]


@pytest.mark.parametrize(
    ("option", "text", "advice"),
    (
        ("--mpps", "1,x", "allowed: numbers"),
        ("--mpps", "2,1", "allowed"),
        ("--mpps", "", "allowed: numbers"),
        ("--folds", "9", "leave --folds out"),
    ),
)
def test_a_mistake_in_what_verify_is_asked_is_one_line(option, text, advice, command, tmp_path):
    csv = layouts.labelled(tmp_path, clean(tmp_path))
    code, out, err = command("data", "verify", csv, option, text)
    assert code == 2 and not out and option in err and advice in err and "Traceback" not in err
