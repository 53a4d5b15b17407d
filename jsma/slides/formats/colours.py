"""Samples of every kind that a TIFF or photo holds to 8-bit RGB, by rules that are told; others are refused."""

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
    """uint8 [h,w,3] from grey, RGB or RGBA (laid on white) pixels; refuses other kinds."""
    array = np.asarray(array)
    if array.dtype != np.uint8 or array.ndim not in (2, 3) or (array.ndim == 3 and array.shape[2] not in (1, 3, 4)):
        raise SlideError(
            f"{what}: pixels are {array.dtype} {array.shape}; uint8 grey, RGB or RGBA is served, convert it"
        )
    if array.ndim == 2 or array.shape[2] == 1:
        return grey_rgb(array)
    return on_white(array[..., :3], array[..., 3], False) if array.shape[2] == 4 else np.ascontiguousarray(array)


def page_rgb8(pixels: np.ndarray, page: Any, what: str) -> tuple[np.ndarray, str]:
    """uint8 [h,w,3] of pixels [h,w] or [h,w,samples] of a tifffile page, and the rule in words.

    White-is-zero is inverted, a palette looked up, alpha laid on white, CMYK and YCbCr are converted, 16 bits scaled
    (`to_8_bits`). SlideError for kinds without a rule.
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
    """RGB of 8-bit samples [h,w,colours] that are no palette's."""
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
    """uint8 of unsigned samples of 1 to 16 bits, and the rule in words.

    bits: as declared, 1 to 15 are scaled by it. 16-bit samples hold 8, 12 or 16 significant bits, told by the
    largest: up to 255, up to 4095, above; `full`: told already.
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
    """The full scale of 16-bit samples, by the largest."""
    top = int(pixels.max(initial=0))
    return 255 if top <= 255 else 4095 if top <= 4095 else 65535


def look_up(indices: np.ndarray, colormap: np.ndarray | None, what: str) -> tuple[np.ndarray, str]:
    """RGB of palette indices [h,w]; colormap [3, n] of 16 bits, or of 8 where none is above 255, as libtiff has it."""
    if colormap is None or indices.dtype not in (bool, np.uint8) or colormap.ndim != 2 or len(colormap) != 3:
        raise SlideError(f"{what}: no palette for {indices.dtype} samples that is understood; save it as RGB")
    indices = indices.astype(np.uint8)
    if int(indices.max(initial=0)) >= colormap.shape[1]:
        raise SlideError(f"{what}: colour {int(indices.max())} of a palette of {colormap.shape[1]}; save it as RGB")
    wide = int(colormap.max(initial=0)) > 255
    table = (colormap >> 8 if wide else colormap).astype(np.uint8).T
    return _through(table, indices), "palette, looked up"


def _through(table: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """`table[numbers]`, some rows at a time: numpy makes each index one of 64 bits."""
    out = np.empty((*numbers.shape, *table.shape[1:]), dtype=np.uint8)
    for y in range(0, len(numbers), _BLOCK_ROWS):
        out[y : y + _BLOCK_ROWS] = table[numbers[y : y + _BLOCK_ROWS]]
    return out


def grey_rgb(grey: np.ndarray) -> np.ndarray:
    """uint8 [h,w,3] of [h,w] or [h,w,1]."""
    return np.ascontiguousarray(np.broadcast_to(grey.reshape(*grey.shape[:2], 1), (*grey.shape[:2], 3)))


def on_white(rgb: np.ndarray, alpha: np.ndarray, multiplied: bool) -> np.ndarray:
    """uint8 RGB laid on white by `alpha` [h,w]; multiplied: the colours already are."""
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
    """RGB of CMYK [h,w,4], 255 full ink: light left by an ink times that left by black. Without a colour profile."""
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(inks), "CMYK").convert("RGB"))


def ycbcr_rgb(pixels: np.ndarray) -> np.ndarray:
    """RGB of full-range YCbCr [h,w,3]. Source: ITU-R BT.601, as JFIF has it."""
    from PIL import Image

    return np.asarray(Image.fromarray(np.ascontiguousarray(pixels), "YCbCr").convert("RGB"))
