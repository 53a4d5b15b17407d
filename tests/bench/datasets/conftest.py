"""Every published layout, built once for all tests."""

from __future__ import annotations

import sys

import pytest

from bench import cli
from tests.bench.datasets.layouts import LAYOUTS


@pytest.fixture(scope="session")
def built(tmp_path_factory):
    """built(name): the data folder that holds the dataset's small copy."""
    made = {}

    def build(name):
        if name not in made:
            made[name] = LAYOUTS[name](tmp_path_factory.mktemp(name))
        return made[name]

    return build


@pytest.fixture
def command(monkeypatch, capsys):
    """command("data", "list", ...) -> (exit code, stdout, stderr) of the command line, in this process."""

    def run(*arguments):
        monkeypatch.setattr(sys, "argv", ["jsma-bench", *map(str, arguments)])
        with pytest.raises(SystemExit) as stopped:
            cli.main()
        out, err = capsys.readouterr()
        return int(stopped.value.code or 0), out, err

    return run
