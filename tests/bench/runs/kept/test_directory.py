"""What is recorded beside a run, so that another can be told apart from it."""

import importlib.metadata
import subprocess

from bench import files
from bench.runs.kept import environment


def test_versions_of_what_draws_decodes_and_encodes_are_recorded():
    found = environment.environment()["versions"]
    # the demo's slides differ in their last bits between versions of opencv
    for package in ("opencv-python-headless", "simplejpeg", "tifffile", "numpy", "torch", "timm"):
        assert found[package] == importlib.metadata.version(package)


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(environment, "PACKAGES", ("numpy", "no-such-package"))
    assert set(environment.versions()) == {"numpy"}


def test_a_folder_to_write_to_is_rid_of_what_killed_processes_left(tmp_path):
    dead = subprocess.Popen(["true"])
    dead.wait()
    name = files.aside(tmp_path / ".probe").name
    for left in (name, f".report.{files.host()}-{dead.pid}.tmp", f"table.md.{files.host()}-{dead.pid}.tmp"):
        (tmp_path / left).touch()
    (tmp_path / name).rename(tmp_path / files.aside(tmp_path / "kept").name)  # of this process, which lives
    assert files.writable(tmp_path, "--to") == tmp_path
    assert [p.name for p in tmp_path.iterdir()] == [files.aside(tmp_path / "kept").name]
