"""A photo, or a TIFF without a pyramid, decoded whole: one loader for reading it as it is and for `data prepare`."""

from __future__ import annotations

import os
import zlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from jsma.slides.formats.colours import cmyk_rgb, page_rgb8, to_8_bits, to_rgb8
from jsma.slides.formats.descriptions import describe
from jsma.slides.formats.tiff_headers import other_pictures
from jsma.slides.formats.tiff_pixels import decode_page, jpeg_rgb
from jsma.slides.types import DamagedSlideError, SlideError

MAX_WHOLE_PX = 200_000_000  # of an image without tiles: 600 MB as RGB
TIFF_STARTS = (b"II*\0", b"MM\0*", b"II+\0", b"MM\0+")
ORIENTATION = 0x0112  # the tag of EXIF, and of TIFF
PROFILE = 34675  # ICC, in TIFF


@dataclass(frozen=True)
class Photo:
    """A decoded photo.

    Attributes:
        pixels: RGB, uint8 [h, w, 3], as they are stored.
        rule: How the samples of the file became 8-bit RGB, in words.
        pages: Number of pages in the file; the first is taken.
        compression: Name of the compression, lower case.
        notes: What the file holds and the pixels do not show (a turn, a colour profile, further pages).
    """

    pixels: np.ndarray
    rule: str
    pages: int
    compression: str
    notes: tuple[str, ...]


def photo_size(path: str) -> tuple[int, int]:
    """Read width and height in pixels from the header; SlideError where there is none."""
    return _try(path, _size)


def load_photo(path: str, bounded: bool = True) -> Photo:
    """Decode the first page of a file, strictly: what a decoder only warns about is an error.

    Args:
        path: The file.
        bounded: Whether more than MAX_WHOLE_PX pixels are refused.

    Raises:
        SlideError: There is no such file, there is no rule for its samples, or it is too large.
        DamagedSlideError: The file is damaged.
    """
    if bounded:
        width_px, height_px = photo_size(path)
        if width_px * height_px > MAX_WHOLE_PX:
            raise SlideError(
                f"{path}: {width_px}x{height_px} px without tiles would be decoded whole, at most {MAX_WHOLE_PX} px "
                "are; convert it to a tiled pyramid (`jsma-bench data prepare`, or vips tiffsave --tile --pyramid)"
            )
    return _try(path, lambda: _load_tiff(path) if _is_tiff(path) else _load_other(path))


def _try(path: str, what: Any) -> Any:
    """Call `what`, and turn whatever a decoder raises into one line with the path."""
    if not os.path.isfile(path):
        raise SlideError(f"{path}: no such file; check the path")
    try:
        return what(path) if what is _size else what()
    except SlideError:
        raise
    except MemoryError as error:
        raise SlideError(f"{path}: too large for the memory that is free; convert it on a larger machine") from error
    except PermissionError as error:
        raise SlideError(f"{path}: may not be read; check its permissions") from error
    except Exception as error:  # Pillow, tifffile and the codecs raise many kinds on a damaged file
        text = f"{type(error).__name__}: {error}".splitlines()[0][:160]
        raise DamagedSlideError(
            f"{path}: not a readable image ({text}); it is damaged or of a kind that is not read, copy or save it again"
        ) from error


def _is_tiff(path: str) -> bool:
    with open(path, "rb") as handle:
        return handle.read(4) in TIFF_STARTS


def _size(path: str) -> tuple[int, int]:
    if _is_tiff(path):
        import tifffile

        with tifffile.TiffFile(path) as tif:
            page: Any = tif.pages[0]
            return int(page.imagewidth), int(page.imagelength)
    with _open_image(path) as image:
        return image.size


def _load_tiff(path: str) -> Photo:
    import tifffile

    with tifffile.TiffFile(path) as tif:
        page: Any = tif.pages[0]
        if other := other_pictures(tif, describe(tif).stack):
            raise SlideError(f"{path}: {other}; save one picture as a file of its own")
        rgb = jpeg_rgb(page, path)
        if rgb is None:
            pixels, rule = page_rgb8(decode_page(page, path), page, path)
        else:
            pixels, rule = rgb, "8 bits, as they are" + (", white is zero: inverted" if page.photometric == 0 else "")
        pages, compression = len(tif.pages), str(getattr(page.compression, "name", page.compression)).lower()
        notes = _notes(int(page.tags.valueof(ORIENTATION, 1)), PROFILE in page.tags, pages)
        return Photo(pixels, rule, pages, compression, notes)


def _open_image(path: str) -> Any:
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # the limits here are ours and have a remedy in their message
    return Image.open(path)


def _load_other(path: str) -> Photo:
    with _open_image(path) as image:
        kind, frames = str(image.format or "?"), int(getattr(image, "n_frames", 1))
        orientation = int(image.getexif().get(ORIENTATION, 1))
        notes = _notes(orientation, bool(image.info.get("icc_profile")), frames if kind != "MPO" else 1)
        if kind in ("JPEG", "MPO"):
            pixels, rule = _jpeg(path, image)
        elif kind == "PNG" and _check_png(path) == 16:
            pixels, rule = _png_16(path)
        else:
            pixels, rule = _convert(path, image)
    return Photo(pixels, rule, frames, kind.lower(), notes)


def _notes(orientation: int, profile: bool, pages: int) -> tuple[str, ...]:
    found = [f"orientation {orientation} of the file is not applied: pixels as stored"] if orientation > 1 else []
    if profile:
        found.append("its colour profile is not applied")
    if pages > 1:
        found.append(f"the first of {pages} pages is taken")
    return tuple(found)


def _jpeg(path: str, image: Any) -> tuple[np.ndarray, str]:
    """Decode by libjpeg-turbo, strictly. Pillow hides its warnings, and some of them mean wrong pixels."""
    import simplejpeg

    with open(path, "rb") as handle:
        data = handle.read()
    if image.mode == "CMYK":
        simplejpeg.decode_jpeg(data, "CMYK", strict=True)  # its polarity is left to Pillow, which knows Adobe's
        return cmyk_rgb(np.asarray(image)), "CMYK as (255 - ink)(255 - black)/255, without a profile"
    return simplejpeg.decode_jpeg(data, "RGB", strict=True), "8 bits, as they are"


def _check_png(path: str) -> int:
    """Check all checksums of a PNG, some of which libraries skip; return its bits per sample."""
    with open(path, "rb") as handle:
        data = memoryview(handle.read())
    at, kind = 8, b""
    while kind != b"IEND":
        length, kind = int.from_bytes(data[at : at + 4], "big"), bytes(data[at + 4 : at + 8])
        end = at + 12 + length
        if len(kind) < 4 or end > len(data):
            raise DamagedSlideError(f"{path}: the PNG ends early; the file is cut short, copy it again")
        if zlib.crc32(data[at + 4 : end - 4]) != int.from_bytes(data[end - 4 : end], "big"):
            raise DamagedSlideError(f"{path}: a checksum of the PNG is wrong; the file is damaged, copy it again")
        at = end
    return data[24]


def _png_16(path: str) -> tuple[np.ndarray, str]:
    """Decode all 16 bits of a sample; Pillow keeps the upper 8, or cuts off what is above 255."""
    import imagecodecs

    with open(path, "rb") as handle:
        pixels = np.asarray(imagecodecs.png_decode(handle.read()))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    colours = pixels.shape[2] - (pixels.shape[2] in (2, 4))
    rgb, rule = to_8_bits(pixels[..., :colours], path)
    if pixels.shape[2] == colours:
        return to_rgb8(rgb, path), rule
    alpha, _ = to_8_bits(pixels[..., colours:], path)
    rgb = rgb if colours == 3 else np.repeat(rgb, 3, axis=2)
    return to_rgb8(np.concatenate([rgb, alpha], axis=2), path), f"{rule}, transparency laid on white"


def _convert(path: str, image: Any) -> tuple[np.ndarray, str]:
    """Convert the kinds for which Pillow has exact rules of its own."""
    if image.mode.startswith("I;16"):
        rgb, rule = to_8_bits(np.asarray(image).astype(np.uint16), path)
        return to_rgb8(rgb, path), rule
    if image.mode not in ("1", "L", "LA", "P", "PA", "RGB", "RGBA", "YCbCr"):
        raise SlideError(f"{path}: samples of kind {image.mode} have no rule here; save it as 8-bit RGB")
    if image.mode in ("RGBA", "LA", "PA") or "transparency" in image.info:
        return to_rgb8(np.asarray(image.convert("RGBA")), path), "8 bits, transparency laid on white"
    rule = {"1": "1 bit, as black and white", "P": "palette, looked up"}.get(image.mode, "8 bits, as they are")
    return np.array(image.convert("RGB")), rule
