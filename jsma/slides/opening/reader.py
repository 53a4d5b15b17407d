"""Which reader opens a file, and why."""

from __future__ import annotations

import os

import numpy as np

from jsma.slides.formats.tiff_headers import TIFF_EXTENSIONS
from jsma.slides.readers import READERS, reader_named
from jsma.slides.readers.base import SlideFile
from jsma.slides.types import DECODERS, SlideError


def check_request(name: str, reader: str | None, mpp: float | None, decoder: str) -> str:
    """Check what `open_slide` is asked for.

    Args:
        name: the file.
        reader: the reader that was asked for; None: the one for this kind of file.
        mpp: the scale that was given, um per level-0 pixel, or None.
        decoder: one of `DECODERS`, or "auto".

    Returns:
        The extension of the file, lower case with the dot.

    Raises:
        SlideError: There is no such file, reader, decoder or scale, or no reader for that extension.
    """
    extension = os.path.splitext(name)[1].lower()
    if reader is not None and reader not in READERS:
        raise SlideError(f"{name}: no reader {reader!r}; there are {', '.join(READERS)}")
    if decoder not in (*DECODERS, "auto"):
        raise SlideError(f"{name}: no decoder {decoder!r}; there are {', '.join(DECODERS)}, auto")
    if mpp is not None and not (np.isfinite(mpp) and mpp > 0):
        raise SlideError(f"{name}: mpp={mpp!r} must be a number above 0 (micrometres per level-0 pixel)")
    if not os.path.exists(name):
        raise SlideError(f"{name}: no such file; check the path")
    if os.path.isdir(name):
        raise SlideError(f"{name}: is a folder; give the slide file in it")
    if not os.path.isfile(name):  # opening a FIFO waits for ever
        raise SlideError(f"{name}: is no regular file but a FIFO, a socket or a device; give the slide file itself")
    if not os.access(name, os.R_OK):
        raise SlideError(f"{name}: may not be read; check its permissions")
    known = [*TIFF_EXTENSIONS, *(own for each in READERS for own in reader_named(each).extensions)]
    if extension not in known and reader is None:
        raise SlideError(f"{name}: extension {extension!r} is not one of {' '.join(known)}; rename or name a reader")
    return extension


def choose_reader(file: SlideFile, asked: str | None) -> tuple[str, str]:
    """Choose the reader of a file.

    Args:
        file: What is known of the file.
        asked: Name of the reader that the user wants, None for none. It is taken or refused, never replaced.

    Returns:
        Name of the reader, and the reason in words.

    Raises:
        SlideError: The reader that was asked for, or every reader, gets the file wrong.
    """
    unserved = "" if file.facts is None else file.facts.unserved
    if unserved and not (asked is not None and reader_named(asked).any_kind):
        raise SlideError(
            f"{file.path}: {unserved} is not served; convert it to one 8-bit grey or RGB picture, interleaved"
        )
    if asked is None:
        return _first_that_serves(file)
    if against := reader_named(asked).against(file):
        raise SlideError(
            f"{file.path}: reader {asked!r} does not serve this file: {'; '.join(against)}; leave reader= out"
        )
    return asked, "asked for"


def _first_that_serves(file: SlideFile) -> tuple[str, str]:
    passed_over = ""
    for name in READERS:
        reader = reader_named(name)
        if not (why := reader.suits(file)):
            continue
        if not (against := reader.against(file)):
            return name, why + passed_over
        passed_over += f"; {name} does not serve it: {'; '.join(against)}"
    raise SlideError(f"{file.path}: no reader serves it{passed_over}; convert it to a tiled 8-bit RGB TIFF")
