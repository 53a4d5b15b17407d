"""The reading benchmark on a small slide: same pixels, exact counters, ratios within rounds."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import tifffile

from bench import cli
from bench.studies.reading.measure import FLOOR, floor, ratios

ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture(scope="module")
def slide(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("reading") / "s.tif"
    image = np.random.default_rng(0).integers(90, 200, (1024, 1024, 3), dtype=np.uint8)
    with tifffile.TiffWriter(path) as tif:
        for index in range(3):
            level = np.ascontiguousarray(image[:: 2**index, :: 2**index])
            tif.write(
                level,
                photometric="rgb",
                tile=(256, 256),
                compression="jpeg",
                subfiletype=int(index > 0),
                resolution=(20000 / 2**index,) * 2,
                resolutionunit=3,
                metadata=None,
            )
    return path


@pytest.mark.parametrize("processes", [1, 2])
def test_benchmark(slide, processes):
    command = [
        sys.executable,
        "-m",
        "bench.cli",
        "study",
        "reading",
        "--slide",
        str(slide),
        "--patches",
        "30",
        "--rounds",
        "2",
        "--processes",
        str(processes),
        "--threads",
        "2",
        "--json",
    ]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr
    found = json.loads(ran.stdout)
    assert found["rounds"] == 2 * processes and all(len(s) == 2 * processes for s in found["seconds"].values())
    assert set(found["largest_difference"].values()) == {0} and len(found["largest_difference"]) >= 3
    tiles = found["cost"]["tiles"]
    assert 0 < tiles <= 16 + 4 + 1 and found["cost"]["decoded_px"] == tiles * 256 * 256
    assert {row["other"] for row in found["ratios"]} >= {FLOOR, "libjpeg-turbo", "openslide-python"}
    decodings = {arm["name"]: arm["tile_decodings"] for arm in found["arms"]}
    assert decodings["copies alone"] == 0 and decodings["libjpeg-turbo"] == tiles
    assert decodings["openslide-python"] == found["touches"] > tiles


def test_ratio_is_taken_within_each_round():
    seconds = {"ours": [(1.0, 2.0), (10.0, 2.0), (2.0, 2.0)], "other": [(3.0, 4.0), (20.0, 2.0), (2.0, 6.0)]}
    assert ratios(seconds, "ours", "other", 0) == {"median": 2.0, "min": 1.0, "max": 3.0}
    assert ratios(seconds, "ours", "other", 1) == {"median": 2.0, "min": 1.0, "max": 3.0}


def test_floor_is_decoding_and_copying_of_the_same_round():
    assert floor({"libjpeg-turbo": [(1.0, 2.0), (3.0, 4.0)], "copies alone": [(0.5, 0.25), (1.0, 1.0)], "x": []}) == [
        (1.5, 2.25),
        (4.0, 5.0),
    ]


def test_bad_input_is_told(slide, tmp_path, capsys, monkeypatch):
    tifffile.imwrite(
        tmp_path / "raw.tif",
        np.full((512, 512, 3), 9, np.uint8),
        photometric="rgb",
        tile=(256, 256),
        resolution=(20000, 20000),
        resolutionunit=3,
    )
    for arguments in (
        ["--slide", str(tmp_path / "none.tif")],
        ["--rounds", "0"],
        ["--side", "1000"],
        ["--slide", str(tmp_path / "raw.tif"), "--patches", "3"],
    ):
        monkeypatch.setattr(sys, "argv", ["jsma-bench", "study", "reading", *arguments, "--processes", "1"])
        with pytest.raises(SystemExit) as left:
            cli.main()
        assert left.value.code == 2
        assert "error" in capsys.readouterr().err.splitlines()[-1].lower()
