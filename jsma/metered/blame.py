"""Whether a failed read is the fault of its slide, so that the rest can go on without it, or of the machine."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jsma.slides import SlideError

NOT_THE_SLIDE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""Lack of room, memory or handles: not the fault of the slide that was being read."""


@contextmanager
def blamed(slide_id: str) -> Iterator[None]:
    """Turn whatever makes a slide unreadable into a SlideError that names it, so that a batch can go on without it.

    Args:
        slide_id: The slide that is read in the body.

    Raises:
        SlideError: The slide cannot be read; `SlideError.slide_id` names it.
        OSError: The machine lacks something (`NOT_THE_SLIDE`).
    """
    try:
        yield
    except SlideError as error:
        error.slide_id = error.slide_id or slide_id
        raise
    except OSError as error:
        if error.errno in NOT_THE_SLIDE:
            raise
        failed = SlideError(f"{slide_id}: {error.strerror or error}")
        failed.slide_id = slide_id
        raise failed from error
