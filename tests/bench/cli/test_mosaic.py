"""`jsma-bench data mosaic`, and `data verify` of mosaics, as a user meets them."""

import json

import pytest

from bench.cli import app, exits
from bench.datasets.generated.mosaic import make_mosaics
from tests.bench.datasets.generated.mosaic.painted import paint_photos, small_settings


def ended(monkeypatch, *arguments):
    """The exit code of `jsma-bench data ...`."""
    monkeypatch.setattr("sys.argv", ["jsma-bench", "data", *map(str, arguments)])
    try:
        return exits.ended(app.app)
    except SystemExit as left:
        return left.code


@pytest.fixture
def command(monkeypatch, tmp_path):
    """command(*options): the exit code of `data mosaic` on painted photos, eight mosaics of 6 x 5 tiles."""
    paint_photos(tmp_path)
    base = ("--positive", "sick", "--negative", "well,scar", "--grid", "6x5", "--slides", "8", "--workers", "1")
    return lambda *options: ended(
        monkeypatch, "mosaic", tmp_path / "photos.csv", *base, "--to", tmp_path / "out", *options
    )


@pytest.mark.parametrize(
    "options, words",
    (
        (["--positive", "ill"], "--positive ill: no photo has that label; there are: scar, sick, well"),
        (["--positive", "well"], "named twice"),
        (["--positive", ","], "names no label"),
        (["--grid", "8*8"], "whole numbers from 1, such as 8x8"),
        (["--grid", "1x8"], "--grid 1x8; allowed: 2x2 to 200x200"),
        (["--needles", "3-1"], "the first number is above the second"),
        (["--needles", "0"], "--needles '0'; allowed"),
        (["--needles", "30"], "at most 29 fit"),
        (["--slides", "3"], "at least 8"),
        (["--tile", "96"], "has 96x80 px"),
        (["--tile", "70"], "steps of 16"),
        (["--levels", "sick"], "must be one label of --negative"),
        (["--background", "nan"], "--background nan"),
        (["--test-stain", "2"], "--test-stain 2"),
    ),
)
def test_mistakes_are_one_line_and_write_nothing(options, words, command, tmp_path, capsys):
    assert command(*options) == 2
    said = [line for line in capsys.readouterr().err.splitlines() if "error" in line]
    assert len(said) == 1 and words in said[0]
    assert not (tmp_path / "out").exists()


def test_a_damaged_photo_is_listed_and_the_rest_goes_on(command, tmp_path, capsys):
    (tmp_path / "well3.png").write_bytes((tmp_path / "well3.png").read_bytes()[:900])
    assert command() == 3
    said = capsys.readouterr()
    assert "failed: well3.png" in said.err and "8 made" in said.out and "0.5 is written" in said.err
    assert "photos of sick, and of how many patients (or photos): 4 of 4 in train, 1 of 1 in val" in said.out
    assert "well3.png" not in (tmp_path / "out" / "tiles.csv").read_text()


def test_verify_prints_the_probes_and_a_finding_where_one_is_above_chance(monkeypatch, tmp_path, capsys):
    table = paint_photos(tmp_path, number=10, tint={"sick": 70})
    make_mosaics(table, small_settings(slides=40), tmp_path / "out", 1)
    assert ended(monkeypatch, "verify", f"mosaic:{tmp_path / 'out'}", "--json") == 3
    said = json.loads(capsys.readouterr().out)
    assert [(row["probe"], row["mosaics"]) for row in said["shortcuts"]] == [("colour", 40), ("overview", 40)]
    assert [row["above chance"] for row in said["shortcuts"]] == ["yes", "no"]
    assert {name: [slide for slide, _ in some] for name, some in said["found"].items() if some} == {
        "shortcuts": ["probe colour"]
    }


def test_other_slides_are_not_probed(monkeypatch, tmp_path, capsys):
    labels = make_mosaics(paint_photos(tmp_path), small_settings(slides=8), tmp_path / "out", 1).labels
    (tmp_path / "out" / "mosaic.json").unlink()
    ended(monkeypatch, "verify", labels, "--json")
    assert json.loads(capsys.readouterr().out)["shortcuts"] == []
