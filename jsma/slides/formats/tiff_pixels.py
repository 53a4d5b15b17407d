"""The pixels of a whole TIFF page, strip by strip or tile by tile. A missing or half decoded part is an error."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np

from jsma.slides.formats.colours import APERIO_YCBCR, JPEG2000
from jsma.slides.formats.jpeg import EOI, SOI, JpegPage
from jsma.slides.types import DamagedSlideError, SlideError

OLD_JPEG, NEW_JPEG = 6, 7


def jpeg_rgb(page: Any, path: str) -> np.ndarray | None:
    """Decode a page of plain JPEG (grey, RGB, YCbCr): RGB, uint8 [h, w, 3]; None if the page is not that."""
    jpeg = JpegPage.of(page)
    if jpeg is None:
        return None
    out = np.empty((int(page.imagelength), int(page.imagewidth), 3), np.uint8)
    height, width = _segment_size(page)
    across = -(-int(page.imagewidth) // width)
    for index, data in _segments(page, path):
        y, x = index // across * height, index % across * width
        shape = (height if page.is_tiled else min(height, len(out) - y), width, 3)
        buffer = np.empty(shape, np.uint8)
        part = _strictly(path, index, lambda data=data, buffer=buffer: jpeg.decode(data, buffer))
        target = out[y : y + height, x : x + width]
        if part.shape[0] < target.shape[0] or part.shape[1] < target.shape[1]:
            raise DamagedSlideError(f"{path}: part {index} is {part.shape[1]}x{part.shape[0]} px; copy it again")
        target[:] = part[: target.shape[0], : target.shape[1]]
    return out


def decode_page(page: Any, path: str) -> np.ndarray:
    """Decode a page: samples [h, w, samples] as they are stored; separate planes become samples."""
    _check_kind(page, path)
    planes, depth, height, width, samples = page.shaped
    if depth != 1:
        raise SlideError(f"{path}: a volume of {depth} planes; save one plane as RGB")
    out = np.zeros((planes, height, width, samples), page.dtype)
    tables, header = page.jpegtables, page.jpegheader
    for index, data in _segments(page, path):
        if page.compression == NEW_JPEG:
            _check_jpeg(page, path, index, data)
        elif page.compression in JPEG2000 and EOI not in data[-64:]:
            raise DamagedSlideError(f"{path}: part {index} has no end; the file is damaged, copy it again")
        part, (plane, _, y, x, _), _ = _strictly(
            path, index, lambda d=data, i=index: page.decode(d, i, jpegtables=tables, jpegheader=header)
        )
        target = out[plane, y : y + part.shape[1], x : x + part.shape[2]]
        target[:] = part[0, : target.shape[0], : target.shape[1]]
    return out[0] if planes == 1 else np.moveaxis(out[..., 0], 0, 2)


def _check_kind(page: Any, path: str) -> None:
    if page.compression in (OLD_JPEG, APERIO_YCBCR):
        name = getattr(page.compression, "name", page.compression)
        raise SlideError(f"{path}: compression {int(page.compression)} ({name}) is not converted; save it as RGB")
    if page.dtype is None or int(page.sampleformat or 1) != 1 or page.dtype.kind not in "ub" or page.dtype.itemsize > 2:
        raise SlideError(
            f"{path}: samples are {page.dtype or 'of an unknown kind'} ({page.bitspersample} bits); unsigned ones of "
            "1 to 16 bits are converted, scale it"
        )


def _segment_size(page: Any) -> tuple[int, int]:
    """Return height and width of a strip or a tile, in pixels."""
    if page.is_tiled:
        return int(page.tilelength), int(page.tilewidth)
    return min(int(page.rowsperstrip), int(page.imagelength)), int(page.imagewidth)


def _segments(page: Any, path: str) -> Iterator[tuple[int, bytes]]:
    """Yield index and bytes of every strip or tile; DamagedSlideError where some are missing."""
    height, width = _segment_size(page)
    rows, across = -(-int(page.imagelength) // height), -(-int(page.imagewidth) // width)
    planes = int(page.samplesperpixel) if int(page.planarconfig or 1) == 2 else 1
    if not len(page.dataoffsets) == len(page.databytecounts) == rows * across * planes:
        raise DamagedSlideError(
            f"{path}: {len(page.dataoffsets)} parts where the size needs {rows * across * planes}; copy it again"
        )
    handle = page.parent.filehandle
    for index, (offset, count) in enumerate(zip(page.dataoffsets, page.databytecounts, strict=True)):
        handle.seek(offset)
        data = handle.read(count)
        if len(data) < max(1, count):
            raise DamagedSlideError(
                f"{path}: part {index} has {len(data)} of {count} bytes; the file is cut short, copy it again"
            )
        yield index, data


def _strictly(path: str, index: int, decode: Callable[[], Any]) -> Any:
    try:
        return decode()
    except Exception as error:
        text = f"{type(error).__name__}: {error}".splitlines()[0][:120]
        raise DamagedSlideError(f"{path}: part {index} cannot be decoded ({text}); copy it again") from error


def _check_jpeg(page: Any, path: str, index: int, data: bytes) -> None:
    """Decode JPEG that is not plain (four inks, or one plane) strictly, only to see whether it is damaged."""
    import simplejpeg

    samples = 1 if int(page.planarconfig or 1) == 2 else int(page.samplesperpixel)
    if samples not in (1, 4) or page.bitspersample != 8 or page.jpegheader:
        raise SlideError(f"{path}: JPEG of {samples} components of {page.bitspersample} bits; save it as RGB")
    whole = SOI + (page.jpegtables or SOI + EOI)[2:-2] + data[2:]
    _strictly(path, index, lambda: simplejpeg.decode_jpeg(whole, "GRAY" if samples == 1 else "CMYK", strict=True))
