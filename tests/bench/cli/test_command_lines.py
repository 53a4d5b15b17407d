"""Hundreds of wrong command lines in one process: one line and a documented code each, no traceback, no hang.

Every option of every command meets values that nobody should give it. What would train, measure or download is replaced
by a refusal, so that only what stands before it is tried.
"""

import os
import random
import signal
from dataclasses import fields, is_dataclass

import numpy as np
import pytest
import tifffile
import typer
from PIL import Image

from bench.cli import app, exits
from bench.errors import UsageError
from bench.runs.settings.settings import RunSettings
from bench.studies.made_up_runs import write

CODES = {0, 1, 2, 3, 4, 130}
PER_OPTION = 6
LIMIT_S = 60  # of one command line; the slowest takes some seconds on a busy machine
TEXTS = [
    "",
    " ",
    "nope",
    "-1",
    "0",
    "1",
    "1e309",
    "nan",
    "inf",
    "-inf",
    "1000000000000",
    "1.5",
    "../nowhere/x",
    "/proc/x",
    "/dev/null",
    "é☃",
    "a,b,,",
    "a:b:c",
    "x.py:Y",
    "=",
    "null",
    "[]",
    "{}",
    "x" * 300,
    "fifo",
    "folder",
    "empty",
    "broken.tif",
    "broken.json",
    "labels.csv",
    "one.csv",
    "runs",
    "jsma",
    "demo",
    "tiny",
    "all",
]
TARGETS = {
    "run": ["--slides", "labels.csv", "--preset", "tiny", "--strategies", "random"],
    "sweep": ["--slides", "labels.csv", "--preset", "tiny", "--strategies", "random"],
    "compare": ["runs"],
    "report": ["runs", "--to", "report"],
    "check": ["random"],
    "list": ["readers"],
    "data info": ["demo"],
    "data fetch": ["panda"],
    "data prepare": ["photos.csv", "--to", "prepared"],
    "data mosaic": [
        *("photos.csv", "--positive", "a", "--negative", "b", "--to", "mosaics"),
        *("--grid", "2x2", "--needles", "1", "--slides", "8"),
    ],
    "data verify": ["labels.csv"],
    "data show": ["labels.csv", "--png", "sheet.png"],
}
"""A command line that is right, for each command that needs more than its name; the option under test comes behind."""


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a little of everything."""
    folder = tmp_path_factory.mktemp("lines")
    lines, photos = ["path,label"], ["path,label,mpp"]
    for i in range(8):
        pixels = np.random.default_rng(i).integers(60, 200, (256, 256, 3), dtype=np.uint8)
        tifffile.imwrite(
            folder / f"{i}.tif",
            pixels,
            photometric="rgb",
            tile=(64, 64),
            resolution=(2e4, 2e4),
            resolutionunit="CENTIMETER",
        )
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(f"{i}.tif,{'ab'[i % 2]}")
        photos.append(f"{i}.png,{'ab'[i % 2]},0.5")
    (folder / "labels.csv").write_text("\n".join(lines))
    (folder / "photos.csv").write_text("\n".join(photos))
    (folder / "one.csv").write_text("\n".join(lines[:2]))
    (folder / "broken.tif").write_bytes(b"II*\0" + bytes(100))
    (folder / "broken.json").write_text("{")
    (folder / "empty").touch()
    (folder / "folder").mkdir()
    os.mkfifo(folder / "fifo")
    write(4, folder / "runs")
    return folder


def refused(*_, **__):
    raise UsageError("reached; no more is tried")


@pytest.fixture
def light(place, monkeypatch):
    """Nothing is trained, measured or downloaded."""
    monkeypatch.chdir(place)
    monkeypatch.setattr("bench.runs.runner.Runner.run", refused)
    monkeypatch.setattr("bench.runs.sweep.Sweep.rows", refused)
    monkeypatch.setattr("bench.checks.speed.measuring.process.Measuring.__init__", refused)
    monkeypatch.setattr("bench.checks.speed.measuring.slides.make_slides", refused)
    monkeypatch.setattr("bench.report.page.build.build", refused)
    monkeypatch.setattr("bench.datasets.generated.mosaic.make.load_photos", refused)
    monkeypatch.setattr("requests.Session.request", refused)
    monkeypatch.setattr("bench.checks.contract.checks.check", lambda *_, **__: [], raising=False)


def commands():
    """(name, options) of every command."""
    found = []

    def walk(command, path):
        if hasattr(command, "commands"):
            for name, below in command.commands.items():
                walk(below, (*path, name))
        else:
            found.append((" ".join(path), command.params))

    walk(typer.main.get_command(app.app), ())
    return found


def lines_of(name, options):
    """Command lines: every option with PER_OPTION of TEXTS, drawn from the name of both; and some pairs."""
    base = TARGETS.get(name, [])
    for option in options:
        flag = [max(option.opts, key=len)] if type(option).__name__.endswith("Option") else []
        if getattr(option, "is_flag", False):
            yield [*name.split(), *base, *flag]
            continue
        for text in random.Random(f"{name} {option.name}").sample(TEXTS, PER_OPTION):
            yield [*name.split(), *(base if flag else []), *flag, text]
    for text in ("--nope", "--", "-", "\x00"):
        yield [*name.split(), *base, text]


def settings_of(value):
    """Names of all settings, however nested."""
    for field in fields(value):
        inner = getattr(value, field.name)
        yield from settings_of(inner) if is_dataclass(inner) else [field.name]


def failed(arguments, capsys, monkeypatch):
    """What is wrong with how this command line ends; "" where nothing is."""

    def late(*_):
        raise TimeoutError(f"took more than {LIMIT_S} s")

    monkeypatch.setattr("sys.argv", ["jsma-bench", *arguments])
    signal.signal(signal.SIGALRM, late)
    signal.alarm(LIMIT_S)
    try:
        code = exits.ended(app.app)
    except SystemExit as left:
        code = left.code
    except BaseException as error:
        return f"{type(error).__name__}: {error}"
    finally:
        signal.alarm(0)
    said = capsys.readouterr()
    if code not in CODES:
        return f"code {code}"
    if "Traceback" in said.out + said.err:
        return "a traceback"
    return "" if code == 0 or said.err.strip() else f"code {code} without a word"


@pytest.mark.parametrize("name, options", commands(), ids=lambda value: value if isinstance(value, str) else "")
def test_wrong_command_lines_end_in_a_line(name, options, light, capsys, monkeypatch):
    wrong = {}
    for arguments in lines_of(name, options):
        if problem := failed(arguments, capsys, monkeypatch):
            wrong[" ".join(map(repr, arguments))] = problem
    assert not wrong, "\n".join(f"{line}\n    {problem}" for line, problem in wrong.items())


def test_wrong_settings_end_in_a_line(light, capsys, monkeypatch):
    wrong = {}
    for key in dict.fromkeys(settings_of(RunSettings())):
        for text in random.Random(key).sample(TEXTS[:24], 3):
            arguments = ["run", *TARGETS["run"], "--set", f"{key}={text}"]
            if problem := failed(arguments, capsys, monkeypatch):
                wrong[f"{key}={text!r}"] = problem
    assert not wrong, "\n".join(f"{line}\n    {problem}" for line, problem in wrong.items())


def test_there_are_hundreds():
    assert sum(len(list(lines_of(name, options))) for name, options in commands()) > 300
