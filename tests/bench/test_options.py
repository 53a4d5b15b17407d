"""What a user gives that cannot be: one line that names the option, in this process so that it is fast."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bench.cli.app import app
from bench.cli.exits import ended
from bench.datasets.inspect.cards import find_here
from bench.errors import UsageError
from bench.report.comparison import publish
from bench.report.sweep import publish as publish_sweep
from bench.runs.layout import Provenance

FAST = ("--preset", "tiny", "--set", "name=test_resnet", "--set", "pretrained=null", "--set", "stage=null")


@pytest.fixture
def said(monkeypatch, capsys, tmp_path):
    """Run a command in an empty folder: its exit code and what it wrote on standard error, progress aside."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, arguments)])
        code = ended(app)
        told = capsys.readouterr().err.splitlines(keepends=True)
        return code, "".join(line for line in told if not re.match(r"starting|[\w ]+: \d+ of \d+$", line))

    return run


@pytest.fixture
def slides(tmp_path):
    """Twelve tiled slides, tissue on their left half, 0.5 um/px, six a class."""
    rng, lines = np.random.default_rng(0), ["path,label,mpp"]
    for number in range(12):
        pixels = np.clip(rng.normal((200, 120, 180), 8, (512, 512, 3)), 0, 255).astype(np.uint8)
        pixels[:, 256:] = 245
        tifffile.imwrite(tmp_path / f"s{number}.tif", pixels, tile=(256, 256))
        lines.append(f"s{number}.tif,{'ab'[number % 2]},0.5")
    (tmp_path / "labels.csv").write_text("\n".join(lines) + "\n")
    return tmp_path / "labels.csv"


@pytest.mark.parametrize(
    ("arguments", "words"),
    (
        ("run --data /sys/x", "--data /sys/x"),
        ("sweep --data /proc/x", "--data /proc/x"),
        ("data show demo --data /sys/x", "--data /sys/x"),
        ("run --out /sys/x", "--out /sys/x"),
        ("run --strategies ,", "--strategies ',' names nothing"),
        ("sweep --strategies ,", "--strategies ',' names nothing"),
        ("run --dataset demo --slides x.csv", "--dataset demo and --slides x.csv exclude each other"),
        ("sweep --dataset demo --slides x.csv", "exclude each other"),
        ("run --seeds 100000000", "--seeds 1e+08; allowed: a number of training seeds, from 1 to 1000; nearest: 1000"),
        ("run --preset tiny --limit 1", "--limit 1: a class would be missing in a part; give 16 or more"),
        ("run --preset tiny --limit 8", "--limit 8: a class would be missing in a part; give 16 or more"),
        ("compare --to-accuracy 95", "--to-accuracy 95; allowed: an accuracy, from 0 to 1; nearest: 1"),
        ("compare --to-accuracy nan", "--to-accuracy nan; "),
        ("compare --budget-seconds -1", "--budget-seconds -1; "),
        ("compare --budget-patches nan", "--budget-patches nan; "),
        ("compare --margin 2", "--margin 2; "),
        ("report --margin nan", "--margin nan; "),
        ("compare --json --csv", "--json and --csv exclude each other"),
        ("compare --md --tex", "--md and --tex exclude each other"),
        ("data list --json --md", "--json and --md exclude each other"),
        ("data prepare x.csv --mpp inf", "--mpp inf; "),
        ("run --set mpps=0.5", "a list, such as [0.5]"),
    ),
)
def test_a_mistake_names_the_option_that_was_given(said, arguments, words):
    code, line = said(*arguments.split())
    assert code == 2 and words in line and line.count("\n") == 1, line
    if "--out" not in arguments:
        assert "--out" not in line


def test_an_unwritable_stem_is_that_of_save():
    for write in (
        lambda stem: publish([], stem, ""),
        lambda stem: publish_sweep([], Provenance(kind="sweep", command=""), stem),
    ):
        with pytest.raises(UsageError, match="^--save /proc/x"):
            write(Path("/proc/x/y"))


def test_the_demo_that_is_not_there_is_made_and_not_fetched():
    line = find_here("demo", Path("nowhere"))
    assert isinstance(line, str) and "data show demo --data nowhere" in line and "fetch" not in line


def own(said, slides, *more):
    return said("run", "--slides", slides, "--strategies", "overview", *FAST, *more)


@pytest.mark.parametrize(
    ("more", "words"),
    (
        (("--set", "patch_px=512", "--set", "min_tissue=0.9"), "lower min_tissue or patch_px"),
        (("--set", "mpps=[0.1,0.2]"), "all of mpps, 0.1, 0.2 um/px, are finer than the slide's 0.5; set mpps to 0.5"),
    ),
)
def test_what_no_slide_can_give_says_why(said, slides, more, words):
    code, lines = own(said, slides, *more)
    assert code == 2 and words in lines.splitlines()[-1], lines


def test_of_thousands_of_findings_the_first_are_printed(said, slides, monkeypatch):
    monkeypatch.setattr("bench.datasets.inspect.verify.quick.SHOWN", 3)
    code, lines = own(said, slides, "--set", "mpps=[0.1]")
    assert code == 2 and len(lines.splitlines()) == 5
    assert lines.splitlines()[-1] == "and 9 more: `jsma-bench data verify --mpps 0.1 --most 12` lists all"


def test_a_scale_that_is_wrong_says_so(said, slides):
    slides.write_text(slides.read_text().replace(",0.5", ",19"))
    code, lines = own(said, slides)
    assert code == 2 and "the slide's 19" in lines and "`mpp` column" in lines.splitlines()[-1], lines


def test_magnifications_that_slides_lack_are_told_in_one_line(said, slides):
    slides.write_text(slides.read_text().replace("s3.tif,b,0.5", "s3.tif,b,1.2"))
    code, lines = own(said, slides, "--set", "mpps=[0.25,1,2]", "--accept-findings")
    told = [line for line in lines.splitlines() if line.startswith("note: magnifications")]
    assert code == 0 and len(told) == 1, lines
    assert "0.25 um/px on 12, 1 um/px on 1 of 12 slides" in told[0]
