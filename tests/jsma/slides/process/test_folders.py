"""Folders of decoders: whose they are, from the first moment on."""

import os
import shutil
import tempfile
import time

from jsma.slides.process import folders


def test_a_folder_taken_for_left_over_before_it_is_locked_is_made_once_more(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plain, taken = folders.fcntl.flock, []

    def late(handle, how):
        if not taken:
            taken.append(next(tmp_path.iterdir()))
            shutil.rmtree(taken[0])
        plain(handle, how)

    monkeypatch.setattr(folders.fcntl, "flock", late)
    folder = folders.Folder("jsma-slides-")
    assert os.path.isdir(folder.path) and folder.path != str(taken[0])
    folder.remove()


def test_an_empty_folder_without_a_lock_goes_after_ten_minutes(tmp_path, monkeypatch):
    """Its owner was killed before it locked; younger ones are being made, and what holds a file is somebody's."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    monkeypatch.setattr(folders, "_swept", set())
    now = time.time()
    for name, age_s in {"old": 700, "young": 500, "filled": 700}.items():
        (tmp_path / f"jsma-slides-{name}").mkdir()
        if name == "filled":
            (tmp_path / "jsma-slides-filled" / "x").touch()
        os.utime(tmp_path / f"jsma-slides-{name}", (now - age_s, now - age_s))
    (tmp_path / "other").mkdir()
    os.utime(tmp_path / "other", (now - 700, now - 700))
    folder = folders.Folder("jsma-slides-")
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"jsma-slides-young", "jsma-slides-filled", "other", os.path.basename(folder.path)}
    folder.remove()


def test_a_folder_swept_before_it_has_a_lock_is_made_once_more(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    plain, taken = tempfile.mkdtemp, []

    def swept(prefix):
        path = plain(prefix=prefix)
        if not taken:
            taken.append(path)
            os.rmdir(path)
        return path

    monkeypatch.setattr(folders.tempfile, "mkdtemp", swept)
    folder = folders.Folder("jsma-slides-")
    assert os.path.isdir(folder.path) and folder.path != taken[0]
    folder.remove()
