"""Stand-ins for `bench.datasets.photos.convert.convert`, which worker processes import: they die, or see that they
are not alone."""

import errno
import os
import signal
import time
from pathlib import Path

from bench.datasets.photos.convert import Job, Provenance, convert
from jsma.slides import SlideError


def convert_or_die(job: Job) -> Provenance:
    """Killed at photos called kill*, and the first time at once*; a little late, so that others are in work."""
    name, mark = Path(job.source).name, Path(job.target).with_suffix(".mark")
    if name.startswith("kill") or (name.startswith("once") and not mark.exists()):
        mark.touch()
        time.sleep(0.3)
        Path(job.target).with_name(".half").touch()
        os.kill(os.getpid(), signal.SIGKILL)
    return convert(job)


def convert_alone(job: Job) -> Provenance:
    """SlideError where another conversion is under way in the folder."""
    busy = Path(job.target).with_name("busy")
    try:
        os.close(os.open(busy, os.O_CREAT | os.O_EXCL))
    except FileExistsError as error:
        raise SlideError("not alone") from error
    time.sleep(0.3)
    busy.unlink()
    return convert(job)


def full_disk(job: Job) -> Provenance:
    """As on a full disk."""
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), job.target)
