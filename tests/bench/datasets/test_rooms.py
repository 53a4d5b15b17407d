"""What the rooms of the datasets hand on, and that naming datasets loads nothing slow."""

import importlib
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from bench.datasets import DATASETS
from bench.datasets.known import committed

ROOMS = ("", ".evidence", ".fetch", ".generated", ".generated.demo", ".inspect", ".inspect.verify", ".photos")
SLOW = ("torch", "pandas", "scipy", "sklearn", "matplotlib", "cv2", "shapely", "tifffile", "requests", "numpy")


def test_a_dataset_is_one_file_and_one_line():
    folder = Path(committed.__file__).parent
    files = {path.stem for path in folder.glob("*.py")} - {"__init__", "committed"}
    modules = [entry.split(":")[0].rpartition(".")[2] for entry in DATASETS.values()]
    assert sorted(modules) == sorted(files)


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_says_what_it_is_and_what_it_hands_on_is_described(room):
    module = importlib.import_module(f"bench.datasets{room}")
    assert module.__doc__ and 2 <= len(module.__all__) <= 8
    for name in module.__all__:
        thing = getattr(module, name)
        if not (inspect.isclass(thing) or inspect.isfunction(thing)):
            continue  # a registry
        text = inspect.getdoc(thing) or ""
        takes = [p for p in inspect.signature(thing).parameters if p != "self"]
        section = "Attributes:" if inspect.isclass(thing) else "Args:"
        assert not takes or section in text, f"{name}: no {section}"


def test_rooms_load_nothing_slow_before_a_name_is_used():
    rooms = ", ".join(f"bench.datasets{room}" for room in ROOMS)
    code = f"import sys, {rooms}; print([m for m in {SLOW} if m in sys.modules])"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "[]"
