"""Opening a slide (which reader, which scale) and reading regions from it."""

from __future__ import annotations

import os
from importlib.util import find_spec
from typing import Any

import numpy as np

from .client import client
from .plan import cost_of, make_plan, pick_levels
from .preflight import check_tiles, compare_readers
from .sources import ArraySource, SourceSpec, to_rgb8
from .tiffinfo import COMPRESSION_NAMES, TiffFacts, inspect_tiff
from .types import READERS, Level, ReadCost, Regions, SlideError, SlideInfo

TIFF_EXTENSIONS = (".svs", ".tif", ".tiff")
PHOTO_EXTENSIONS = (".png", ".jpg", ".jpeg", ".bmp")
VENDOR_EXTENSIONS = (".ndpi", ".mrxs", ".scn", ".vms", ".vmu", ".bif", ".dcm", ".svslide", ".czi")
CUCIM_COMPRESSIONS = (1, 5, 7, 8, 32946, 33005)
MAX_OUTPUT_BYTES = 4 << 30
MPP_RANGE = (0.05, 20.0)
_passed: set[tuple[str, tuple[int, int], str]] = set()


class Slide:
    """An open slide; use `open_slide`."""

    def __init__(self, info: SlideInfo, spec: SourceSpec, decoder: Any, tile_bytes: tuple[np.ndarray, ...] | None):
        self.info = info
        self._spec, self._decoder, self._tile_bytes = spec, decoder, tile_bytes
        self._counted = self._closed = False

    def level_for(self, mpp: float) -> int:
        """Index of the stored level that serves `mpp` micrometres per pixel."""
        return int(pick_levels(self.info.levels, np.array([mpp / self.info.mpp]), self.info.mpp)[0])

    def _cost(self, plan: Any) -> ReadCost:
        if self.info.reader == "array" and self._counted:
            return ReadCost()  # the one image was decoded, and counted, before
        return cost_of(plan, self.info.levels, self._tile_bytes)

    def plan_cost(self, regions: Regions) -> ReadCost:
        """What `read` would count for these regions; decodes nothing."""
        return self._cost(make_plan(self.info.levels, self.info.mpp, regions))

    def read(self, regions: Regions) -> tuple[np.ndarray, ReadCost]:
        """Pixels uint8 [n,height_px,width_px,3], white outside the slide, and what reading them cost."""
        shape = (len(regions), regions.height_px, regions.width_px, 3)
        size_bytes = int(np.prod(shape, dtype=np.int64))
        if self._closed:
            raise SlideError(f"{self.info.path}: the slide was closed; open it again")
        if size_bytes > MAX_OUTPUT_BYTES:
            raise SlideError(
                f"{self.info.path}: one call would return {size_bytes} bytes, at most {MAX_OUTPUT_BYTES}; split it"
            )
        plan = make_plan(self.info.levels, self.info.mpp, regions)
        if not len(regions):
            return np.empty(shape, dtype=np.uint8), ReadCost()
        cost = self._cost(plan)
        pixels = self._decoder.read(self._spec, plan, shape)
        self._counted = self._counted or len(plan.tiles) > 0
        return pixels, cost

    def close(self) -> None:
        """Refuse further reads; the decoding process keeps few handles and drops the oldest itself."""
        self._closed = True

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _ArrayDecoder:
    """Reads from one array in memory, in this thread."""

    def __init__(self, source: ArraySource) -> None:
        self.source = source

    def read(self, _spec: SourceSpec, plan: Any, shape: tuple[int, ...]) -> np.ndarray:
        """The plan's regions, uint8 of `shape`."""
        from concurrent.futures import ThreadPoolExecutor

        from .execute import execute

        out = np.empty(shape, dtype=np.uint8)
        with ThreadPoolExecutor(1) as pool:
            execute(self.source, plan, out, pool, 1)
        return out


class ArraySlide(Slide):
    """A slide made of a uint8 array [h,w,3] whose pixels are `mpp` micrometres wide."""

    def __init__(self, array: np.ndarray, mpp: float) -> None:
        source = ArraySource(to_rgb8(array, "<array>"))
        level = source.levels[0]
        info = SlideInfo(
            "<array>", "array", "given as an array", level.width_px, level.height_px, float(mpp), "explicit",
            source.levels,
        )  # fmt: skip
        super().__init__(info, SourceSpec("<array>", "array", source.levels), _ArrayDecoder(source), None)


def open_slide(
    path: str | os.PathLike[str],
    *,
    reader: str | None = None,
    mpp: float | None = None,
    in_process: bool = False,
    workers: int | None = None,
    preflight: bool = True,
) -> Slide:
    """Open a slide or a photo; `mpp` overrides the file's micrometres per level-0 pixel."""
    name = os.fspath(path)
    extension = _check_path(name, reader, mpp)
    status = os.stat(name)
    name = os.path.abspath(name)
    stamp = (status.st_mtime_ns, status.st_size)
    facts = inspect_tiff(name) if extension in TIFF_EXTENSIONS else None
    chosen, reason = _choose(extension, facts)
    if reader is not None and reader != chosen:
        chosen, reason = reader, "asked for"
    if chosen in ("cucim", "tifffile") and (facts is None or not facts.tiled):
        raise SlideError(
            f"{name}: reader {chosen!r} reads tiled TIFF only; leave reader= out or use 'openslide'/'array'"
        )
    if preflight and facts is not None:
        check_tiles(name, facts)
    decoder = client(in_process, workers)
    levels, scales = _describe(name, chosen, facts, decoder, stamp)
    value, rule = _mpp(name, mpp, scales)
    spec = SourceSpec(name, chosen, levels, stamp)
    if preflight and chosen == "cucim" and (name, stamp, chosen) not in _passed:
        compare_readers(spec, decoder, value)
        _passed.add((name, stamp, chosen))
    same = facts is not None and facts.tiled and facts.levels == levels and chosen != "array"
    info = SlideInfo(name, chosen, reason, levels[0].width_px, levels[0].height_px, value, rule, levels)
    return Slide(info, spec, decoder, facts.tile_bytes if facts is not None and same else None)


def _check_path(name: str, reader: str | None, mpp: float | None) -> str:
    extension = os.path.splitext(name)[1].lower()
    if reader is not None and reader not in READERS:
        raise SlideError(f"{name}: no reader {reader!r}; there are {', '.join(READERS)}")
    if mpp is not None and not (np.isfinite(mpp) and mpp > 0):
        raise SlideError(f"{name}: mpp={mpp!r} must be a number above 0 (micrometres per level-0 pixel)")
    if not os.path.exists(name):
        raise SlideError(f"{name}: no such file; check the path")
    if os.path.isdir(name):
        raise SlideError(f"{name}: is a folder; give the slide file in it")
    if not os.access(name, os.R_OK):
        raise SlideError(f"{name}: may not be read; check its permissions")
    known = TIFF_EXTENSIONS + PHOTO_EXTENSIONS + VENDOR_EXTENSIONS
    if extension not in known and reader is None:
        raise SlideError(f"{name}: extension {extension!r} is not one of {' '.join(known)}; rename or name a reader")
    return extension


def _choose(extension: str, facts: TiffFacts | None) -> tuple[str, str]:
    """Reader and the reason in words."""
    if facts is None:
        if extension in PHOTO_EXTENSIONS:
            return "array", f"{extension} is a photo: decoded whole"
        return "openslide", f"{extension} is a vendor format"
    if not facts.tiled:
        return "array", "TIFF without tiles: decoded whole"
    kinds = "/".join(dict.fromkeys(COMPRESSION_NAMES.get(c, f"compression {c}") for c in facts.compression))
    if 33003 in facts.compression:
        return "openslide", f"{kinds}: the reader whose colours are right for it"
    against = [
        text
        for bad, text in (
            (not facts.rgb8, "not 8-bit RGB"),
            (facts.predictor, "a predictor, which crashes cuCIM"),
            (facts.subifd, "a SubIFD pyramid, of which cuCIM sees level 0 only"),
            (any(c not in CUCIM_COMPRESSIONS for c in facts.compression), f"{kinds}, which cuCIM cannot decode"),
            (find_spec("cucim") is None, "cuCIM is not installed"),
        )
        if bad
    ]
    if against:
        return "tifffile", "tiled TIFF with " + "; ".join(against)
    return "cucim", f"tiled 8-bit RGB TIFF, {kinds}"


def _describe(
    name: str, chosen: str, facts: TiffFacts | None, decoder: Any, stamp: tuple[int, int]
) -> tuple[tuple[Level, ...], dict[str, float]]:
    """Levels, and mpp by rule with the best rule first."""
    if facts is not None and chosen in ("cucim", "tifffile"):
        return facts.levels, facts.mpp
    found = decoder.describe(SourceSpec(name, chosen, (), stamp))
    scales: dict[str, float] = {}
    for key, rule in (("openslide.mpp-x", "openslide.mpp-x"), ("openslide.objective-power", "objective power")):
        if key in found["properties"]:
            number = float(found["properties"][key])
            scales[rule] = number if key.endswith("mpp-x") else 10 / number
    return found["levels"], {**(facts.mpp if facts is not None else {}), **scales}


def _mpp(name: str, override: float | None, scales: dict[str, float]) -> tuple[float, str]:
    if override is not None:
        return float(override), "explicit"
    for rule in ("Aperio MPP", "OME PhysicalSizeX", "openslide.mpp-x", "TIFF XResolution", "objective power"):
        if rule in scales and MPP_RANGE[0] <= scales[rule] <= MPP_RANGE[1]:
            return scales[rule], rule
    tried = ", ".join(f"{rule} {value:.4g}" for rule, value in scales.items()) or "nothing"
    raise SlideError(
        f"{name}: no micrometres per pixel (file gives {tried}; allowed {MPP_RANGE[0]:g}-{MPP_RANGE[1]:g}); "
        "give it in the `mpp` column or with mpp="
    )
