"""What is told when the decoding process gives no answer."""

from __future__ import annotations

import os
import signal

from jsma.slides.readers.base import SourceSpec
from jsma.slides.types import DamagedSlideError, SlideError

LIMIT_VARIABLE, LIMIT_S = "JSMA_DECODE_TIMEOUT_S", 900.0  # for one call; the largest take a minute or two


def limit_s() -> float:
    """Read from the environment how many seconds one call may take."""
    text = os.environ.get(LIMIT_VARIABLE, "")
    try:
        value = float(text) if text else LIMIT_S
    except ValueError:
        value = 0.0
    if not 0 < value < 1e9:
        raise SlideError(f"{LIMIT_VARIABLE}={text!r}: give the seconds that one call to the decoder may take, above 0")
    return value


class DiedError(Exception):
    """The decoding process went away. `code` is its exit code, negative for a signal."""

    def __init__(self, code: int | None) -> None:
        super().__init__(code)
        self.code = code


def silence_error(spec: SourceSpec, limit: float) -> SlideError:
    """Make the error after `limit` seconds without an answer."""
    return SlideError(
        f"{spec.path}: the decoder has not answered for {limit:g} s and was ended; it was stopped, or had too much to "
        f"do: ask for less at a time, or set {LIMIT_VARIABLE} to more seconds"
    )


def death_error(spec: SourceSpec, code: int | None) -> SlideError:
    """Make the error after a second death.

    A crash is the fault of the file. A kill, or a process that just ends, is that of the machine.
    """
    name = signal.Signals(-code).name if code is not None and code < 0 else f"exit code {code}"
    said = f"{spec.path}: the {spec.reader} decoder process died twice ({name})"
    if code is not None and code < 0 and -code not in (signal.SIGKILL, signal.SIGTERM):
        return DamagedSlideError(f"{said}; the file is probably damaged, check it or name another reader")
    return SlideError(
        f"{said}: ended from outside, by lack of memory perhaps; that need not be the file's fault, free memory and "
        "try again"
    )
