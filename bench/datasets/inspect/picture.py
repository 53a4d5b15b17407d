"""Pictures that `data show` writes. They carry our mark, and a picture without it is never overwritten."""

from __future__ import annotations

import io
import os
import stat
from pathlib import Path

import numpy as np
from PIL import Image, PngImagePlugin

from bench.errors import UsageError
from bench.files import write_bytes

KEY, OURS = "Software", "jsma-bench"  # a text chunk by one of the PNG standard's own keywords


def check_picture(png: Path) -> None:
    """Check that a picture may be written.

    Args:
        png: Where it would go.

    Raises:
        UsageError: the name does not end in .png, or something is there that `data show` did not write.
    """
    if png.suffix.lower() != ".png":
        raise UsageError(f"--png {png}: the picture is a PNG; choose a name that ends in .png")
    if not os.path.lexists(png):
        return
    kind = png.stat().st_mode if png.exists() else 0
    if stat.S_ISDIR(kind):
        raise UsageError(f"--png {png}: is a folder; name a file in it, {png / 'slides.png'}")
    if not stat.S_ISREG(kind) or not _is_ours(png):  # a FIFO is not opened: that would wait for ever
        raise UsageError(
            f"--png {png}: is there and was not written by `data show`; choose another name, or move it away"
        )


def _is_ours(png: Path) -> bool:
    try:
        with Image.open(png) as image:
            return image.info.get(KEY) == OURS
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):  # what Pillow raises on what is no picture
        return False


def write_picture(pixels: np.ndarray, png: Path) -> None:
    """Write a picture with our mark.

    Args:
        pixels: uint8 RGB [h, w, 3].
        png: Where it goes.

    Raises:
        UsageError: it may not be written there, or cannot be.
    """
    check_picture(png)
    mark = PngImagePlugin.PngInfo()
    mark.add_text(KEY, OURS)
    content = io.BytesIO()
    Image.fromarray(pixels).save(content, format="png", pnginfo=mark)
    try:
        write_bytes(png, content.getvalue())
    except OSError as error:
        raise UsageError(f"--png {png}: cannot be written ({error.strerror}); choose another place") from error
