"""What is recorded beside a run, so that another can be told apart from it."""

import importlib.metadata

from bench import rundir


def test_versions_of_what_draws_decodes_and_encodes_are_recorded():
    found = rundir.environment()["versions"]
    # the demo's slides differ in their last bits between versions of opencv
    for package in ("opencv-python-headless", "simplejpeg", "tifffile", "numpy", "torch", "timm"):
        assert found[package] == importlib.metadata.version(package)


def test_a_package_that_is_not_installed_is_left_out(monkeypatch):
    monkeypatch.setattr(rundir, "PACKAGES", ("numpy", "no-such-package"))
    assert set(rundir.versions()) == {"numpy"}
