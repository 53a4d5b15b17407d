"""Which decoder decodes: the one that was asked for, or the one that a probe of this very slide finds faster."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import numpy as np

from jsma.slides.types import MAX_DIFFERENCE, SlideError

ROUNDS = 3


def settle_decoder(
    name: str,
    asked: str,
    reader: str,
    read: Callable[[str], np.ndarray],
    clock: Callable[[], float] = time.perf_counter,
) -> tuple[str, str]:
    """Settle which decoder is used.

    Args:
        name: The file, for messages.
        asked: One of `types.DECODERS`, or "auto". "gpu": its pixels must agree with the CPU's. "auto": the GPU, if its
            pixels agree and it is the faster one by the median of interleaved reads; otherwise the CPU.
        reader: Name of the reader.
        read: Reads the same regions through the decoder that it is given. It raises SlideError where it cannot.
        clock: Seconds.

    Returns:
        One of `types.DECODERS`, and the reason in words.

    Raises:
        SlideError: The decoder that was asked for does not work here, or its pixels are others.
    """
    if asked == "cpu":
        direct = "; JPEG tiles by libjpeg-turbo itself, strictly, any other by cuCIM" if reader == "cucim" else ""
        return "cpu", "CPU decoding is the default" + direct
    if reader != "cucim":
        if asked != "auto":
            raise SlideError(f"{name}: decoder={asked!r} works with reader 'cucim' only, this is {reader!r}; use 'cpu'")
        return "cpu", f"reader {reader!r} decodes on the CPU only"
    if asked == "cucim":
        return "cucim", "asked for: every tile by cuCIM, on the CPU"
    try:
        ours, theirs = read("gpu"), read("cpu")
    except SlideError as error:
        if asked == "gpu":
            raise
        return "cpu", f"GPU decoding failed ({error})"
    apart = float(np.abs(ours.astype(np.int16) - theirs).mean())
    if apart > MAX_DIFFERENCE:
        text = f"GPU and CPU pixels differ by {apart:.1f} grey levels, at most {MAX_DIFFERENCE:g} allowed"
        if asked == "gpu":
            raise SlideError(f"{name}: {text}; use decoder='cpu'")
        return "cpu", text
    if asked == "gpu":
        return "gpu", f"asked for; pixels within {apart:.1f} grey levels of the CPU's"
    seconds: dict[str, list[float]] = {"gpu": [], "cpu": []}
    for _ in range(ROUNDS):
        for decoder, spent in seconds.items():
            start = clock()
            read(decoder)
            spent.append(clock() - start)
    faster = statistics.median(seconds["cpu"]) / max(statistics.median(seconds["gpu"]), 1e-9)
    return ("gpu" if faster > 1 else "cpu"), f"probe: GPU {faster:.2f} times as fast as CPU, same pixels"
