"""Rules that turn the samples of a TIFF or a photo into 8-bit RGB. Kinds without a rule are refused."""

from __future__ import annotations

from typing import Any

import numpy as np

from jsma.slides.types import SlideError

COLOURS = {0: 1, 1: 1, 2: 3, 3: 1, 5: 4, 6: 3}  # photometric interpretation of TIFF -> samples that are colours
JPEG = (6, 7)  # compressions of TIFF; their decoders give RGB for YCbCr
APERIO_YCBCR = 33003  # JPEG 2000 whose decoders do not give RGB
JPEG2000 = (APERIO_YCBCR, 33004, 33005, 34712)
_AS_THEY_ARE = "8 bits, as they are"
_BLOCK_ROWS = 512  # converted at a time where it takes wider numbers


def to_rgb8(array: np.ndarray, what: str) -> np.ndarray:
    """Turn grey, RGB or RGBA pixels, uint8, into RGB, uint8 [h, w, 3]; RGBA is laid on white.

    Args:
        array: The pixels [h, w] or [h, w, channels].
        what: Their name, for messages.

    Raises:
        SlideError: The pixels are of another kind.
    """
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise SlideError(
            f"{what}: pixels are {array.dtype} {array.shape}; uint8 grey, RGB or RGBA is served, convert it"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return grey_rgb(array)
    return on_white(array[..., :3], array[..., 3], False) if array.shape[2] == 4 else np.ascontiguousarray(array)


def page_rgb8(pixels: np.ndarray, page: Any, what: str) -> tuple[np.ndarray, str]:
    """Turn the pixels of a tifffile page into RGB.

    White-is-zero is inverted, a palette is looked up, alpha is laid on white, CMYK and YCbCr are converted, and 16 bits
    are scaled (`to_8_bits`).

    Args:
        pixels: [h, w] or [h, w, samples].
        page: The page, for what its tags say of the pixels.
        what: Name of the file, for messages.

    Returns:
        RGB, uint8 [h, w, 3], and the rule in words.

    Raises:
        SlideError: There is no rule for the kind of pixels.
    """
    photometric, extra = int(page.photometric), tuple(int(kind) for kind in (page.extrasamples or ()))
    pixels = pixels[..., None] if pixels.ndim == 2 else pixels
    colours = pixels.shape[2] - len(extra)
    if colours != COLOURS.get(photometric):
        name = getattr(page.photometric, "name", "unknown")
        raise SlideError(
            f"{what}: photometric interpretation {photometric} ({name}) with {colours} colours; grey, RGB, palette, "
            "CMYK and YCbCr are converted, save it as RGB"
        )
    bits = int(page.bitspersample)
    if photometric == 3:
        rgb, rule = look_up(pixels[..., 0], page.colormap, what)
    else:
        rgb, rule = to_8_bits(pixels[..., :colours], what, bits)
        rgb, rule = _as_rgb(rgb, page, rule, what)
    if extra and extra[0] in (1, 2):  # associated: the colours are multiplied by it already
        alpha, _ = to_8_bits(pixels[..., colours], what, bits, full=_full(pixels) if extra[0] == 1 else None)
        return on_white(rgb, alpha, extra[0] == 1), f"{rule}, transparency laid on white"
    return rgb, rule


def _as_rgb(pixels: np.ndarray, page: Any, rule: str, what: str) -> tuple[np.ndarray, str]:
    """Turn 8-bit samples [h, w, colours] into RGB; they are not those of a palette."""
    photometric = int(page.photometric)
    if photometric == 0:
        return grey_rgb(255 - pixels), f"{rule}, white is zero: inverted"
    if photometric == 1:
        return grey_rgb(pixels), rule
    if photometric == 5:
        if int(page.tags.valueof("InkSet", 1)) != 1:
            raise SlideError(f"{what}: inks other than CMYK; save it as RGB")
        return cmyk_rgb(pixels), f"{rule}, CMYK as (255 - ink)(255 - black)/255, without a profile"
    if photometric == 6 and int(page.compression) not in (*JPEG, *JPEG2000):
        return ycbcr_rgb(pixels), f"{rule}, YCbCr by ITU-R BT.601, full range"
    return np.ascontiguousarray(pixels), rule


def to_8_bits(
    pixels: np.ndarray, what: str, bits: int | None = None, full: int | None = None
) -> tuple[np.ndarray, str]:
    """Scale unsigned samples of 1 to 16 bits to 8 bits.

    Args:
        pixels: The samples, of any shape.
        what: Their name, for messages.
        bits: Bits per sample that the file declares. Samples of 1 to 15 bits, but 8, are scaled by them. Samples of 16
            bits may hold 8, 12 or 16 that count, which the largest sample tells: up to 255, up to 4095, or above.
        full: The full scale, where it is known already.

    Returns:
        uint8 of the same shape, and the rule in words.

    Raises:
        SlideError: The samples are of another type.
    """
    if pixels.dtype == bool:
        return np.where(pixels, np.uint8(255), np.uint8(0)), "1 bit, as black and white"
    if pixels.dtype not in (np.uint8, np.uint16):
        raise SlideError(f"{what}: samples are {pixels.dtype}; unsigned ones of 1 to 16 bits are converted, scale it")
    declared = bits if bits and bits not in (8, 16) else None
    if declared is None and pixels.dtype == np.uint8:
        return pixels, _AS_THEY_ARE
    scale = 2**declared - 1 if declared else full or _full(pixels)
    if scale == 255:
        return pixels.astype(np.uint8), "8 bits in 16, as they are"
    table = np.rint(np.arange(np.iinfo(pixels.dtype).max + 1).clip(max=scale) * (255 / scale)).astype(np.uint8)
    width = scale.bit_length()
    return _through(table, pixels), f"{width} bits{' in 16' if width == 12 and not declared else ''}, /{scale}"


def _full(pixels: np.ndarray) -> int:
    """Tell the full scale of 16-bit samples by the largest."""
    top = int(pixels.max(initial=0))
    return 255 if top <= 255 else 4095 if top <= 4095 else 65535


def look_up(indices: np.ndarray, colormap: np.ndarray | None, what: str) -> tuple[np.ndarray, str]:
    """Look palette indices [h, w] up: RGB, uint8 [h, w, 3], and the rule in words.

    colormap: [3, n] of 16 bits, or of 8 bits where no entry is above 255, as libtiff has it.
    """
    if colormap is None or indices.dtype not in (bool, np.uint8) or colormap.ndim != 2 or len(colormap) != 3:
        raise SlideError(f"{what}: no palette for {indices.dtype} samples that is understood; save it as RGB")
    indices = indices.astype(np.uint8)
    if int(indices.max(initial=0)) >= colormap.shape[1]:
        raise SlideError(f"{what}: colour {int(indices.max())} of a palette of {colormap.shape[1]}; save it as RGB")
    wide = int(colormap.max(initial=0)) > 255
    table = (colormap >> 8 if wide else colormap).astype(np.uint8).T
    return _through(table, indices), "palette, looked up"


def _through(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Compute `table[numbers]` some rows at a time, because numpy makes each index one of 64 bits."""
    out = np.empty((*numbers.shape, *table.shape[1:]), dtype=np.uint8)
    for y in range(0, len(numbers), _BLOCK_ROWS):
        out[y : y + _BLOCK_ROWS] = table[numbers[y : y + _BLOCK_ROWS]]
    return out


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    """Repeat grey [h, w] or [h, w, 1] as RGB, uint8 [h, w, 3]."""
    return np.ascontiguousarray(np.broadcast_to(grey.reshape(*grey.shape[:2], 1), (*grey.shape[:2], 3)))


def on_white(rgb: np.ndarray, alpha: np.ndarray, multiplied: bool) -> np.ndarray:
    """Lay RGB on white by `alpha` [h, w]. multiplied: whether the colours are multiplied by alpha already."""
    out = np.empty(rgb.shape, dtype=np.uint8)
    for y in range(0, len(rgb), _BLOCK_ROWS):
        rows = slice(y, y + _BLOCK_ROWS)
        share = alpha[rows, :, None].astype(np.uint16)
        if multiplied:
            out[rows] = np.minimum(rgb[rows].astype(np.uint16) + 255 - share, 255)
        else:
            out[rows] = (rgb[rows] * share + 255 * (255 - share) + 127) // 255
    return out


def cmyk_rgb(inks: np.ndarray) -> np.ndarray:
    """Turn CMYK [h, w, 4] into RGB, without a colour profile; 255 is full ink.

    It is the light that an ink lets through times the light that black lets through.
    """
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(inks), "CMYK").convert("RGB"))


def ycbcr_rgb(pixels: np.ndarray) -> np.ndarray:
    """Turn full-range YCbCr [h, w, 3] into RGB. Source: ITU-R BT.601, as JFIF has it."""
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels), "YCbCr").convert("RGB"))
