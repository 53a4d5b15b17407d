"""A whole dataset: its licence is asked once, its files are listed, downloaded, checked and unpacked."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import date
from pathlib import Path

from bench.claims import Claims
from bench.datasets.contract import Card, DatasetSource
from bench.datasets.fetch.download import Download, DownloadError, Patience, download, target_path
from bench.datasets.fetch.listing import RemoteFile
from bench.datasets.fetch.unpack import UnpackError, unpack
from bench.errors import UsageError
from bench.files import writable, write_text

ACCEPTED = "licence-accepted.json"


@dataclass(frozen=True)
class FetchSettings:
    """How a dataset is fetched.

    Attributes:
        endpoint: Server in place of the official one.
        keep_archives: Whether archives stay after they are unpacked.
        only: Part of the names of the files that are wanted.
        patience: How long a download goes on trying.
    """

    endpoint: str | None = None
    keep_archives: bool = False
    only: str = ""
    patience: Patience = field(default_factory=Patience)


@dataclass
class Fetched:
    """What a fetch did.

    Attributes:
        folder: The dataset's folder.
        downloads: Path -> what its download took, for files that were brought now.
        failed: Path -> reason.
    """

    folder: Path
    downloads: dict[str, Download] = field(default_factory=dict)
    failed: dict[str, str] = field(default_factory=dict)


def accept_licence(card: Card, folder: Path, accept: Callable[[str], bool]) -> None:
    """Ask for the licence of a dataset once, and keep the answer in its folder. UsageError where it is no."""
    stamp = folder / ACCEPTED
    with suppress(OSError, ValueError, AttributeError):  # none yet, or damaged: asked again
        if json.loads(stamp.read_bytes()).get("licence") == card.licence:
            return
    if not accept(f"{card.title} ({card.version}): licence {card.licence}, see {card.url}. Do you accept it?"):
        raise UsageError(f"{card.name}: the licence {card.licence} was not accepted; nothing was downloaded")
    writable(folder, "--data")
    write_text(stamp, json.dumps({"dataset": card.name, "licence": card.licence, "accepted": str(date.today())}))


def fetch(
    source: DatasetSource,
    data: Path,
    settings: FetchSettings,
    accept: Callable[[str], bool],
    report: Callable[[str, int, int], None],
) -> Fetched:
    """Bring a dataset to `<data>/<name>`. What is there is kept, and a broken download is continued.

    A file that another process is fetching is left to it and listed.

    Args:
        source: The dataset.
        data: The data folder.
        settings: How to fetch.
        accept: Asked once, with a question on the licence.
        report: Called with (what, done, total) bytes or members.

    Returns:
        What was brought and what failed.

    Raises:
        UsageError: the dataset cannot be fetched, the licence was not accepted, or the disk has too little room.
    """
    folder = source.folder(data)
    files = source.remote(folder, settings.endpoint)  # first, since some datasets cannot be fetched
    accept_licence(source.card, folder, accept)
    todo = [f for f in files if settings.only in f.path and not _stamp(folder, f).is_file()]
    if not todo and settings.only and not any(settings.only in f.path for f in files):
        raise UsageError(f"--only {settings.only}: no file of {source.card.name} has that in its name")
    _check_space(folder, todo)
    done = Fetched(folder)
    total, before = sum(f.size_bytes or 0 for f in todo), 0
    claims = Claims(folder)
    try:
        for file in todo:
            try:
                with _claimed(claims, file, folder):
                    if _stamp(folder, file).is_file():
                        continue  # by another process, meanwhile
                    done.downloads[file.path] = download(
                        file, folder, settings.patience, lambda have, b=before: report("downloading", b + have, total)
                    )
                    if file.unpack:
                        _unpack(file, folder, settings.keep_archives, report)
            except (DownloadError, UnpackError) as error:
                done.failed[file.path] = str(error)
            finally:
                before += file.size_bytes or 0
    finally:
        claims.close()
    return done


@contextmanager
def _claimed(claims: Claims, file: RemoteFile, folder: Path) -> Iterator[None]:
    """Hold the file, its part and its unpacked content for this process. DownloadError where another has it."""
    target_path(folder, file.path).parent.mkdir(parents=True, exist_ok=True)
    owner = claims.take(file.path)
    if owner is not None:
        raise DownloadError(f"{owner.words} is fetching it; run the same command again when that has ended")
    try:
        yield
    finally:
        claims.release(file.path)


def _stamp(folder: Path, file: RemoteFile) -> Path:
    """Marks an archive as unpacked, so that it is not fetched again."""
    return folder / f".{file.path}-unpacked"


def _unpack(file: RemoteFile, folder: Path, keep: bool, report: Callable[[str, int, int], None]) -> None:
    archive = target_path(folder, file.path)
    unpack(archive, folder, lambda number, total: report("unpacking", number, total))
    write_text(_stamp(folder, file), file.checksum or "")
    if not keep:
        os.unlink(archive)


def _check_space(folder: Path, files: list[RemoteFile]) -> None:
    needed = sum((f.size_bytes or 0) * (2 if f.unpack else 1) for f in files)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UsageError(
            f"{folder}: {needed / 1e9:.1f} GB are needed, {free / 1e9:.1f} GB are free; free some space, choose "
            "another folder with --data, or a part with --only"
        )
