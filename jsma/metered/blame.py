"""Whose fault a failed read is: a slide's, so that the rest can go on without it, or the machine's."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager

from jsma.slides import SlideError

NOT_THE_SLIDE = {errno.ENOSPC, errno.EDQUOT, errno.ENOMEM, errno.EMFILE, errno.ENFILE}
"""What fails for want of room or handles: no fault of the slide that was being read."""


@contextmanager
def blamed(slide_id: str) -> Iterator[None]:
    """Whatever makes a slide unreadable leaves as a SlideError that names it: a batch can go on without it."""
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
