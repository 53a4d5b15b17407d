"""Which reader opens a file, in words; and what no reader here serves."""

from __future__ import annotations

import os
import sys
from importlib.util import find_spec

import numpy as np

from jsma.slides.formats.tiff_headers import COMPRESSION_NAMES, TiffFacts
from jsma.slides.types import DECODERS, READERS, SlideError

TIFF_EXTENSIONS = (".svs", ".tif", ".tiff")
PHOTO_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp")
VENDOR_EXTENSIONS = (".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".dcm", ".svslide", ".czi")
OVERLAPPING = ("Trestle", "Ventana")
CUCIM_COMPRESSIONS = (1, 5, 7, 8, 32946, 33005)


def check_request(name: str, reader: str | None, mpp: float | None, decoder: str) -> str:
    """The lower-case extension of a file that can be tried; SlideError for one that cannot."""
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
    known = TIFF_EXTENSIONS + PHOTO_EXTENSIONS + VENDOR_EXTENSIONS
    if extension not in known and reader is None:
        raise SlideError(f"{name}: extension {extension!r} is not one of {' '.join(known)}; rename or name a reader")
    return extension


def choose_reader(
    name: str, extension: str, facts: TiffFacts | None, asked: str | None, in_process: bool
) -> tuple[str, str]:
    """Reader and the reason in words. An asked-for reader is taken or refused, never replaced."""
    if facts is not None and facts.unserved and asked != "openslide":
        raise SlideError(
            f"{name}: {facts.unserved} is not served; convert it to one 8-bit grey or RGB picture, interleaved"
        )
    if asked is None:
        return _default(extension, facts, in_process)
    if asked in ("cucim", "tifffile"):
        if facts is None or not facts.tiled:
            raise SlideError(
                f"{name}: reader {asked!r} reads tiled TIFF only; leave reader= out or use 'openslide'/'array'"
            )
        against = _against_cucim(facts, in_process) if asked == "cucim" else _against_tifffile(facts)
        if against:
            raise SlideError(f"{name}: reader {asked!r} does not serve a TIFF with {'; '.join(against)}; leave it out")
    return asked, "asked for"


def _default(extension: str, facts: TiffFacts | None, in_process: bool) -> tuple[str, str]:
    if facts is None:
        if extension in PHOTO_EXTENSIONS:
            return "array", f"{extension} is a photo: decoded whole"
        return "openslide", f"{extension} is a vendor format"
    if not facts.tiled:
        return "array", "TIFF without tiles: decoded whole"
    if facts.vendor in OVERLAPPING:
        return "openslide", f"a TIFF of {facts.vendor}, whose tiles overlap: the reader that knows by how much"
    if 33003 in facts.compression:
        return "openslide", f"{_kinds(facts)}: the reader whose colours are right for it"
    against = _against_cucim(facts, in_process)
    if against:
        return "tifffile", "tiled TIFF with " + "; ".join(against)
    return "cucim", f"tiled 8-bit RGB TIFF, {_kinds(facts)}"


def _kinds(facts: TiffFacts) -> str:
    return "/".join(dict.fromkeys(COMPRESSION_NAMES.get(c, f"compression {c}") for c in facts.compression))


def _against_tifffile(facts: TiffFacts) -> list[str]:
    return [
        text
        for bad, text in (
            (33003 in facts.compression, f"{_kinds(facts)}, whose colours it gets wrong"),
            (facts.vendor in OVERLAPPING, "tiles that overlap"),
        )
        if bad
    ]


def _against_cucim(facts: TiffFacts, in_process: bool) -> list[str]:
    late = in_process and "torch" in sys.modules and "cucim" not in sys.modules
    return [
        text
        for bad, text in (
            (not facts.rgb8, "pixels other than 8-bit RGB"),
            (facts.predictor, "a predictor, which crashes cuCIM"),
            (facts.vendor in OVERLAPPING, "tiles that overlap"),
            (facts.left_out, f"{facts.left_out} more pictures that are not marked as levels: they are left out"),
            (any(facts.missing), f"{sum(facts.missing)} tiles that are not stored, read as background"),
            (facts.padded, "levels filled up to whole tiles, of which cuCIM gets the scale wrong"),
            (facts.subifd, "a SubIFD pyramid, of which cuCIM sees level 0 only"),
            (any(c not in CUCIM_COMPRESSIONS for c in facts.compression), f"{_kinds(facts)}, which cuCIM gets wrong"),
            (find_spec("cucim") is None, "cuCIM not installed"),
            (late, "torch imported first in this process, after which cuCIM can hang"),
        )
        if bad
    ]
