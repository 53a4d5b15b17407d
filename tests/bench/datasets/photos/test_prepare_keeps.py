"""`data prepare` overwrites nothing that it did not make: sources, lists, other files; under any name for them."""

import os
import subprocess
import sys

import numpy as np
import pytest
import tifffile
from PIL import Image

from bench import cli
from bench.files import host
from tests.bench.datasets import images, layouts


@pytest.fixture
def prepare(command):
    """prepare(...) -> (exit code, stdout, stderr) of `data prepare` with one worker."""
    return lambda *arguments: command("data", "prepare", *arguments, "--workers", "1")


def photos(folder, names=("a.tif", "b.tif"), kind="8 bit"):
    """Photos, and a labels.csv beside them."""
    for k, name in enumerate(names):
        images.photo(folder / name, k, kind)
    return layouts.labelled(folder, [{"path": n, "label": "ab"[k % 2]} for k, n in enumerate(names)])


def contents(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}


def refused(prepare, folder, *arguments):
    """Exit code 2, one line, and not a byte changed; returns the line."""
    before = contents(folder)
    code, _, err = prepare(*arguments)
    assert code == 2 and len(err.splitlines()) == 1, err
    assert contents(folder) == before
    return err


def test_into_the_folder_of_the_photos(tmp_path, prepare):
    csv = photos(tmp_path)
    assert "labels.csv" in refused(prepare, tmp_path, csv, "--to", tmp_path, "--mpp", 0.5)
    other = csv.rename(tmp_path / "list.csv")
    assert "a.tif" in refused(prepare, tmp_path, other, "--to", tmp_path, "--mpp", 0.5)


@pytest.mark.parametrize("way", [os.symlink, os.link], ids=["symbolic link", "hard link"])
def test_a_target_that_is_a_source_by_another_name(tmp_path, prepare, way):
    csv = photos(tmp_path / "in")
    (tmp_path / "to").mkdir()
    way(tmp_path / "in" / "b.tif", tmp_path / "to" / "a.tif")
    assert "overwrite the slide" in refused(prepare, tmp_path, csv, "--to", tmp_path / "to", "--mpp", 0.5)


def test_a_folder_reached_through_a_link(tmp_path, prepare):
    csv = photos(tmp_path / "in").rename(tmp_path / "in" / "list.csv")
    os.symlink(tmp_path / "in", tmp_path / "to")
    assert "overwrite the slide" in refused(prepare, tmp_path, csv, "--to", tmp_path / "to", "--mpp", 0.5)


def test_foreign_files_in_the_way(tmp_path, prepare):
    csv = photos(tmp_path / "in")
    images.pyramid(tmp_path / "to" / "a.tif", 9)
    (tmp_path / "to" / "b.tif").write_text("mine")
    err = refused(prepare, tmp_path, csv, "--to", tmp_path / "to", "--mpp", 0.5)
    assert "a.tif was not made by" in err and "1 more" in err


def test_pyramids_of_other_photos(tmp_path, prepare):
    first, second = photos(tmp_path / "one"), photos(tmp_path / "two", kind="two pages")
    assert prepare(first, "--to", tmp_path / "to", "--mpp", 0.5)[0] == 0
    assert "was made from" in refused(prepare, tmp_path, second, "--to", tmp_path / "to", "--mpp", 0.5)


def test_a_list_of_the_user_and_one_that_was_edited(tmp_path, prepare):
    csv, to = photos(tmp_path / "in"), tmp_path / "to"
    to.mkdir()
    (to / "labels.csv").write_text("path,label\nmine.svs,a\n")
    assert "labels.csv" in refused(prepare, tmp_path, csv, "--to", to, "--mpp", 0.5)
    (to / "labels.csv").unlink()
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 0
    csv.write_text(csv.read_text().replace("b.tif,b", "b.tif,c"))  # ours is written anew
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 0 and ",c," in (to / "labels.csv").read_text()
    edited = (to / "labels.csv").read_text().replace(",c,", ",d,")
    (to / "labels.csv").write_text(edited)
    code, out, err = prepare(csv, "--to", to, "--mpp", 0.5)
    assert code == 0 and "was edited" in err and (to / "labels.csv").read_text() == edited


def test_names_that_would_become_one_are_named(tmp_path, prepare):
    for name in ("x.png", "x.bmp"):
        Image.fromarray(images.tissue(1)).save(tmp_path / name)
    csv = layouts.labelled(tmp_path, [{"path": "x.png", "label": "a"}, {"path": "x.bmp", "label": "b"}])
    err = refused(prepare, tmp_path, csv, "--to", tmp_path / "to", "--mpp", 0.5)
    assert "x.png" in err and "x.bmp" in err and "rename" in err


def test_pyramids_stay_where_they_are_with_their_own_scale(tmp_path, prepare):
    for k in range(2):
        images.pyramid(tmp_path / f"{k}.tif", k, mpp=0.5)
    images.photo(tmp_path / "p.tif", 5, "8 bit")
    names, to = ("0.tif", "1.tif", "p.tif"), tmp_path / "to"
    (tmp_path / "pair").mkdir()
    pair = layouts.labelled(tmp_path / "pair", [{"path": f"../{n}", "label": n} for n in names[:2]])
    assert "states 0.5" in refused(prepare, tmp_path, pair, "--to", to, "--mpp", 2)
    code, out, _ = prepare(pair, "--to", to)
    assert code == 0 and "2 left" in out and not list(to.glob("*.tif"))
    mixed = layouts.labelled(tmp_path, [{"path": n, "label": n[0]} for n in names])
    code, out, err = prepare(mixed, "--to", to, "--mpp", 2)
    assert code == 0 and "1 converted" in out and "not applied to 2" in err
    lines = (to / "labels.csv").read_text().splitlines()
    assert lines[1].startswith(f"{tmp_path}/0.tif,0,") and lines[3].startswith("p.tif,p,")
    with tifffile.TiffFile(to / "p.tif") as tif:
        assert 1e4 / np.divide(*tif.pages[0].tags["XResolution"].value) == pytest.approx(2)


def test_what_dead_processes_left_goes_and_what_the_living_write_stays(tmp_path, prepare):
    csv, to = photos(tmp_path / "in"), tmp_path / "to"
    to.mkdir()
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    dead, mine = (to / f"a.tif.{host()}-{pid}.tmp" for pid in (gone.pid, os.getpid()))
    elsewhere, users = to / f"a.tif.0123abcd-{gone.pid}.tmp", to / f"a.tif.{gone.pid}.tmp"
    for path in (dead, mine, elsewhere, users):
        path.write_text("half")
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 0
    assert not dead.exists() and mine.exists() and elsewhere.exists() and users.exists()


def test_a_photo_that_is_damaged_later_loses_its_line(tmp_path, prepare):
    csv, to = photos(tmp_path / "in"), tmp_path / "to"
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 0
    (tmp_path / "in" / "b.tif").write_bytes(b"not a picture")
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 3
    assert "b.tif" not in (to / "labels.csv").read_text(), "the pyramid of the photo before is not its own"


def test_a_list_of_an_older_version_is_moved_by_the_command_that_is_said(tmp_path, prepare):
    csv, to = photos(tmp_path / "in"), tmp_path / "to here"
    assert prepare(csv, "--to", to, "--mpp", 0.5)[0] == 0
    (to / "prepared.jsonl").unlink()  # as it was before there was one
    (to / "labels.csv.old").write_text("something else")
    err = refused(prepare, tmp_path, csv, "--to", to, "--mpp", 0.5)
    subprocess.run(err.split("`")[3], shell=True, check=True)
    code, out, _ = prepare(csv, "--to", to, "--mpp", 0.5)
    assert code == 0 and "0 converted, 2 kept" in out
    assert (to / "labels.csv.old1").read_bytes() == (to / "labels.csv").read_bytes()
    assert (to / "labels.csv.old").read_text() == "something else"


def test_a_dataset_by_name_is_told_of_its_data_folder(tmp_path, prepare, monkeypatch, capsys):
    """Where --to was not given, no message begins with it, and `run` has no such option."""
    layouts.bach(tmp_path)
    prepared = tmp_path / "bach-prepared"
    prepared.mkdir()
    (prepared / "labels.csv").write_text("path,label\nmine.svs,a\n")
    err = refused(prepare, tmp_path, "bach", "--data", tmp_path)
    assert "--data" in err and "--to" not in err
    (prepared / "labels.csv").unlink()
    (prepared / "b001.tif").write_text("mine")
    in_the_way = refused(prepare, tmp_path, "bach", "--data", tmp_path)
    monkeypatch.setattr(
        sys,
        "argv",
        ["jsma-bench", "run", "--dataset", "bach", "--data", str(tmp_path), "--out", str(tmp_path / "runs")],
    )
    with pytest.raises(SystemExit):
        cli.main()
    for line in (in_the_way, capsys.readouterr().err.splitlines()[-1]):
        assert "b001.tif was not made by" in line and "move it away" in line and "--to" not in line
