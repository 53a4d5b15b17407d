"""The registry of readers: complete, lazy, and all that a new reader has to touch."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import jsma.slides.readers as room
from jsma.slides import Regions, SlideError, open_slide
from jsma.slides.readers import READERS, reader_named
from jsma.slides.readers.array import ArrayReader, ArraySource
from jsma.slides.readers.base import Geometry

NO_READERS = {"__init__", "base"}


class RawReader(ArrayReader):
    """A reader of a format that nobody knows: a square of grey bytes, 0.5 um a pixel by a rule of its own."""

    name = "raw"
    description = "a square of grey bytes"
    extensions = (".raw",)

    def geometry(self, file, describe):
        return Geometry(describe()["levels"], {"raw": (0.5, 0.5)})

    def open(self, spec, chatter):
        grey = np.frombuffer(Path(spec.path).read_bytes(), np.uint8)
        side = int(len(grey) ** 0.5)
        return ArraySource(np.repeat(grey.reshape(side, side, 1), 3, axis=2), spec.path)


@pytest.fixture
def raw(monkeypatch):
    """The registry with one line more."""
    monkeypatch.setitem(READERS, "raw", f"{__name__}:RawReader")
    yield
    reader_named.cache_clear()


def test_every_file_of_the_room_is_registered():
    files = {path.stem for path in Path(room.__file__).parent.glob("*.py")} - NO_READERS
    assert {home.split(":")[0].rsplit(".", 1)[1] for home in READERS.values()} == files


@pytest.mark.parametrize("name", READERS)
def test_a_reader_says_what_it_is(name):
    reader = reader_named(name)
    assert reader.name == name and reader.description
    assert all(extension == extension.lower() and extension[0] == "." for extension in reader.extensions)
    assert reader.compared_with is None or reader.compared_with in READERS


def test_a_new_reader_is_one_file_and_one_line(tmp_path, raw):
    path = tmp_path / "slide.raw"
    path.write_bytes(bytes(range(100)))
    with open_slide(path, in_process=True) as slide:
        info = slide.info
        pixels, cost = slide.read(Regions(np.array([[5.0, 5.0]]), 0.5, 10, 10))
        again = slide.read(Regions(np.array([[5.0, 5.0]]), 0.5, 10, 10))[1]
    assert (info.reader, info.mpp, info.mpp_rule, info.width0_px) == ("raw", 0.5, "raw", 10)
    assert "a photo" in info.reader_reason
    assert np.array_equal(pixels[0, ..., 0].ravel(), np.arange(100)) and cost.tiles == 1 and again.tiles == 0
    with pytest.raises(SlideError, match="openslide, cucim, tifffile, array, raw"):
        open_slide(path, reader="vips")


def test_an_unknown_extension_is_refused_without_that_line(tmp_path):
    (tmp_path / "slide.raw").write_bytes(bytes(100))
    with pytest.raises(SlideError, match=r"extension '\.raw' is not one of \.svs"):
        open_slide(tmp_path / "slide.raw")


CHILD = """
import sys
from jsma.slides.process.worker import Decoder
from jsma.slides.readers.base import SourceSpec
homes = lambda: sorted(m.rsplit(".", 1)[1] for m in sys.modules if m.startswith("jsma.slides.readers."))
before = homes()
Decoder(1).describe(SourceSpec(sys.argv[1], "array", ()))
print(before, homes(), "torch" in sys.modules, "jsma.slides.slide" in sys.modules)
"""


def test_a_decoding_process_loads_the_readers_that_it_uses(tmp_path):
    from PIL import Image

    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(tmp_path / "p.png")
    command = [sys.executable, "-c", CHILD, str(tmp_path / "p.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['base'] ['array', 'base'] False False"
