"""Folders of decoders: whose they are, from the first moment on."""

import os
import shutil
import tempfile

from jsma.slides import folders


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
