"""The command line, run in the process of the tests."""

from __future__ import annotations

import sys

import pytest

from bench import cli


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
