"""Opening a slide, and reading regions from it."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import Any

import numpy as np

from jsma.slides.formats.colours import to_rgb8
from jsma.slides.formats.tiff_headers import TIFF_EXTENSIONS, inspect_tiff
from jsma.slides.opening.decoder import settle_decoder
from jsma.slides.opening.mpp import choose_mpp, stated_mpp
from jsma.slides.opening.preflight import check_tiles, compare_readers
from jsma.slides.opening.reader import check_request, choose_reader
from jsma.slides.process.client import client
from jsma.slides.readers import reader_named
from jsma.slides.readers.array import ArraySource
from jsma.slides.readers.base import SlideFile, SourceSpec
from jsma.slides.reading.plan import cost_of, make_plan
from jsma.slides.types import ReadCost, Regions, SlideError, SlideInfo

MAX_READ_BYTES = 2 << 30  # of one call: the pixels returned, and the sums of regions that are resampled
_passed: dict[tuple[str, tuple[int, int], str], str] = {}  # path, stamp, reader that was compared -> why to replace it


class Slide:
    """An open slide; `open_slide` makes one.

    Attributes:
        info: What was opened, and how.
    """

    def __init__(self, info: SlideInfo, spec: SourceSpec, decoder: Any, tile_bytes: tuple[np.ndarray, ...] | None):
        self.info = info
        self._spec, self._decoder, self._tile_bytes = spec, decoder, tile_bytes
        self._counted = self._closed = False

    def _cost(self, plan: Any) -> ReadCost:
        if self._counted and reader_named(self.info.reader).whole:
            return ReadCost()  # the one image was decoded, and counted, before
        return cost_of(plan, self.info.levels, self._tile_bytes)

    def plan_cost(self, regions: Regions) -> ReadCost:
        """Say what `read` would cost for these regions; nothing is decoded."""
        return self._cost(make_plan(self.info.levels, self.info.mpp, regions))

    def read(self, regions: Regions) -> tuple[np.ndarray, ReadCost]:
        """Read regions; each stored tile that they touch is decoded once.

        Args:
            regions: n regions of one output size. None may be finer than the slide.

        Returns:
            RGB pixels, uint8 [n, height_px, width_px, 3], white outside the slide, and what reading them cost.

        Raises:
            SlideError: The slide was closed, is damaged, or too much is asked for in one call.
        """
        shape = (len(regions), regions.height_px, regions.width_px, 3)
        if self._closed:
            raise SlideError(f"{self.info.path}: the slide was closed; open it again")
        plan = make_plan(self.info.levels, self.info.mpp, regions)
        needed = int(np.prod(shape[1:], dtype=np.int64)) * (len(regions) + 4 * int((~plan.copy).sum()))
        if needed > MAX_READ_BYTES:
            raise SlideError(
                f"{self.info.path}: one call for {len(regions)} regions of {regions.width_px}x{regions.height_px} px "
                f"needs {needed} bytes, at most {MAX_READ_BYTES}; split it into {-(-needed // MAX_READ_BYTES)} or more"
            )
        if not len(regions):
            return np.empty(shape, dtype=np.uint8), ReadCost()
        cost = self._cost(plan)
        pixels = self._decoder.read(self._spec, plan, shape)
        self._counted = self._counted or len(plan.tiles) > 0
        return pixels, cost

    def read_whole(self, mpp: float, width_px: int, height_px: int) -> tuple[np.ndarray, ReadCost]:
        """Read one picture from the slide's top left corner.

        Args:
            mpp: Micrometres per pixel of the picture.
            width_px: Its width. Where it reaches beyond the slide it is white.
            height_px: Its height.

        Returns:
            RGB pixels, uint8 [height_px, width_px, 3], and what reading them cost.
        """
        scale0 = mpp / self.info.mpp
        centre0 = np.array([[width_px * scale0 / 2, height_px * scale0 / 2]])
        pixels, cost = self.read(Regions(centre0, mpp, width_px, height_px))
        return np.array(pixels[0]), cost

    def thumbnail(self, longest_px: int, finest0: float = 1.0) -> tuple[np.ndarray, float]:
        """Read the whole slide, small.

        Args:
            longest_px: Pixels of its longer side, at most.
            finest0: Level-0 pixels per pixel, at least.

        Returns:
            RGB pixels, uint8 [h, w, 3], and the number of level-0 pixels per pixel.
        """
        width0, height0 = self.info.width0_px, self.info.height0_px
        scale0 = max(max(width0, height0) / longest_px, finest0)
        width, height = (max(1, int(length0 / scale0 + 1e-6)) for length0 in (width0, height0))
        return self.read_whole(self.info.mpp * scale0, width, height)[0], scale0

    def close(self) -> None:
        """Refuse further reads; the decoding process keeps few handles and drops the oldest itself."""
        self._closed = True

    def __enter__(self) -> Slide:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _ArrayDecoder:
    """Reads from one array in memory, in the thread that asks."""

    def __init__(self, source: ArraySource) -> None:
        self.source = source

    def read(self, _spec: SourceSpec, plan: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Read the plan's regions, uint8 of `shape`."""
        from concurrent.futures import ThreadPoolExecutor

        from jsma.slides.reading.execute import execute

        out = np.empty(shape, dtype=np.uint8)
        with ThreadPoolExecutor(1) as pool:
            execute(self.source, plan, out, pool, 1)
        return out


class ArraySlide(Slide):
    """A slide made of an array.

    Args:
        array: Grey, RGB or RGBA pixels, uint8 [h, w] or [h, w, channels].
        mpp: Micrometres per pixel.
    """

    def __init__(self, array: np.ndarray, mpp: float) -> None:
        source = ArraySource(to_rgb8(array, "<array>"))
        level = source.levels[0]
        info = SlideInfo(
            "<array>",
            "array",
            "given as an array",
            level.width_px,
            level.height_px,
            float(mpp),
            "explicit",
            source.levels,
        )
        super().__init__(info, SourceSpec("<array>", "array", source.levels), _ArrayDecoder(source), None)


def open_slide(
    path: str | os.PathLike[str],
    *,
    reader: str | None = None,
    mpp: float | None = None,
    decoder: str = "cpu",
    in_process: bool = False,
    workers: int | None = None,
    preflight: bool = True,
) -> Slide:
    """Open a slide or a photo. What was chosen, and why, is in `Slide.info`.

    Args:
        path: The file.
        reader: Name of a reader, of `READERS`. It is taken or refused, never replaced. None chooses one; if that one
            fails where another works, the other takes over.
        mpp: Micrometres per level-0 pixel, in place of what the file says.
        decoder: One of `types.DECODERS`, or "auto", which times them (`settle_decoder`).
        in_process: Decode in this process, without protection from crashes and without a time limit. The variable
            JSMA_DECODE_TIMEOUT_S is for the decoding process only.
        workers: Number of decoding threads; None takes the processors that there are, at most 16.
        preflight: Check the structure of the file, and compare two readers.

    Raises:
        SlideError: The file cannot be served, in one line that says what to do.
    """
    extension = check_request(os.fspath(path), reader, mpp, decoder)
    status, name = os.stat(path), os.path.abspath(path)
    facts = inspect_tiff(name) if extension in TIFF_EXTENSIONS else None
    file = SlideFile(name, extension, facts, in_process)
    chosen, reason = choose_reader(file, reader)
    if preflight and facts is not None:
        check_tiles(name, facts)
    decoding = client(in_process, workers)
    spec = SourceSpec(name, chosen, (), (status.st_mtime_ns, status.st_size))
    geometry = reader_named(chosen).geometry(file, lambda: decoding.describe(spec))
    reason = f"{reason}; {geometry.note}" if geometry.note else reason
    value, rule = choose_mpp(name, mpp, geometry.scales)
    spec = replace(spec, levels=geometry.levels)
    if preflight and (failing := _why_replaced(spec, decoding, value, reader is None)):
        reason = f"{chosen} fails on it ({failing})"
        spec = replace(spec, reader=reader_named(chosen).compared_with)
    ran, why = settle_decoder(name, decoder, spec.reader, lambda which: _probe(replace(spec, decoder=which), decoding))
    info = SlideInfo(
        name,
        spec.reader,
        reason,
        spec.levels[0].width_px,
        spec.levels[0].height_px,
        value,
        rule,
        spec.levels,
        ran,
        why,
        facts.missing if facts is not None else (),
        *((value, rule) if mpp is None else stated_mpp(name, geometry.scales)),
    )
    known = facts is not None and facts.tiled and facts.levels == spec.levels and not reader_named(spec.reader).whole
    return Slide(info, replace(spec, decoder=ran), decoding, facts.tile_bytes if facts is not None and known else None)


def _why_replaced(spec: SourceSpec, decoding: Any, mpp: float, may_fall_back: bool) -> str:
    """Say why the reader that `spec` is compared with must take over, or "". Each file is compared once."""
    if reader_named(spec.reader).compared_with is None:
        return ""
    key = (spec.path, spec.stamp, spec.reader)
    if key not in _passed:
        _passed[key] = compare_readers(spec, decoding, mpp, may_fall_back)
    return _passed[key]


def _probe(spec: SourceSpec, decoding: Any) -> np.ndarray:
    """Read 32 regions of 256 px, spread over level 0."""
    across, down = np.meshgrid((np.arange(8) + 0.5) / 8, (np.arange(4) + 0.5) / 4)
    size0 = np.array([spec.levels[0].width_px, spec.levels[0].height_px])
    regions = Regions(np.stack([across.ravel(), down.ravel()], axis=1) * size0, np.ones(32), 256, 256)
    return decoding.read(spec, make_plan(spec.levels, 1.0, regions), (len(regions), 256, 256, 3))
