"""`jsma-bench features ...`: what is kept, whether it is sound, and how it is made smaller."""

import json
import os
import time

import pytest

from bench.runs.features.folder import MARK, feature_folder
from tests.bench.runs.features.stores import CELLS, DIM, features_at, filled, segments, store_in

DAY_S = 86400.0


@pytest.fixture
def folder(tmp_path):
    """Three slides of one encoder, used 3, 2 and 1 days ago."""
    kept = feature_folder(tmp_path / "kept", "--features")
    for n, slide in enumerate("abc"):
        filled(kept / "encoder-float32-cpu", slide, cells=range(100))
        used = time.time() - (3 - n) * DAY_S
        os.utime(kept / "encoder-float32-cpu" / slide, (used, used))
    return kept


def size_of(folder):
    return sum(path.stat().st_size for path in segments(folder))


def test_list_says_what_is_kept(folder, command):
    code, out, _ = command("features", "list", folder, "--json")
    (row,) = json.loads(out)
    assert code == 0 and (row["slides"], row["features"], row["files"]) == (3, 300, 3)
    assert row["encoder"] == "sines" and row["machines"] == [{"cpu": "one"}]
    assert row["bytes"] == size_of(folder) and row["bytes_per_1000"] == round(1000 * size_of(folder) / 300)
    assert row["bytes_per_1000"] > 1000 * DIM * 4
    code, out, _ = command("features", "list", folder)
    assert code == 0 and "sines" in out and "300" in out


def test_verify_names_what_was_changed(folder, command):
    code, out, _ = command("features", "verify", folder)
    assert code == 0 and out.startswith("3 files are as they were written, 0 are not")
    path = segments(folder)[1]
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    code, out, err = command("features", "verify", folder)
    assert code == 3 and out.startswith("2 files are as they were written, 1 are not") and str(path) in err


@pytest.mark.parametrize("how", ("--older-than", "--max-gb"))
def test_prune_removes_what_was_used_longest_ago(folder, command, how):
    value = 2.5 if how == "--older-than" else size_of(folder) * 0.7 / 1e9
    for more in (["--dry-run"], []):
        code, out, _ = command("features", "prune", folder, how, value, *more)
        assert code == 0 and out.startswith(f"features of 1 slides {'would be ' * bool(more)}removed")
        assert [path.parent.name for path in segments(folder)] == (["a", "b", "c"] if more else ["b", "c"])
    assert (folder / MARK).is_file()


def test_files_of_the_user_are_neither_listed_nor_removed(folder, command):
    """Their names are others, although they lie as deep and have the same extension."""
    own = [folder / "weights" / "vit" / "model.safetensors", folder / "encoder-float32-cpu" / "a" / "mine.safetensors"]
    (folder / "empty" / "too").mkdir(parents=True)
    for path in own:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"mine")
        os.utime(path.parent, (0, 0))
    code, out, _ = command("features", "list", folder, "--json")
    assert code == 0 and [row["slides"] for row in json.loads(out)] == [3]
    assert command("features", "verify", folder)[0] == 0
    code, out, _ = command("features", "prune", folder, "--older-than", 0)
    assert code == 0 and out.startswith("features of 3 slides removed")
    assert [path.read_bytes() for path in own] == [b"mine"] * 2 and (folder / "empty" / "too").is_dir()


def test_prune_leaves_what_is_not_ours_and_a_run_goes_on(folder, command):
    (folder / "encoder-float32-cpu" / "a" / "notes.txt").write_text("mine")
    store = store_in(folder / "encoder-float32-cpu")
    store.get("b", features_at(range(1)).argmax(1))
    code, _, _ = command("features", "prune", folder, "--max-gb", 0)
    assert code == 0 and not segments(folder)
    assert [path.name for path in folder.rglob("*.txt")] == ["notes.txt"]
    store.put("b", CELLS, features_at(range(1)).argmax(1), features_at(range(1)))
    store.flush()
    assert len(segments(folder)) == 1


@pytest.mark.parametrize("what", ("list", "verify", "prune"))
def test_another_folder_is_refused(tmp_path, command, what):
    (tmp_path / "mine").mkdir()
    more = ("--max-gb", 0) if what == "prune" else ()
    for folder in (tmp_path / "mine", tmp_path / "none"):
        code, _, err = command("features", what, folder, *more)
        assert code == 2 and f"{folder}: no folder of features" in err


def test_prune_asks_what_to_remove(folder, command):
    code, _, err = command("features", "prune", folder)
    assert code == 2 and "--older-than DAYS or --max-gb GB" in err


@pytest.mark.parametrize("what", ("run", "sweep"))
def test_a_folder_of_something_else_is_refused_before_slides_are_made(tmp_path, command, what):
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "letter.txt").touch()
    places = ("--features", tmp_path / "mine", "--data", tmp_path / "data", "--out", tmp_path / "runs")
    code, out, err = command(what, "--preset", "tiny", *places)
    assert code == 2 and out == "" and "holds no features" in err and not (tmp_path / "data").exists()
    assert [path.name for path in (tmp_path / "mine").iterdir()] == ["letter.txt"]
