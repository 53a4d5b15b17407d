"""One file over HTTP: it is resumed where it broke, checked by size and checksum, and named only when it is whole."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

import requests

from bench.datasets.fetch.listing import TIMEOUT_S, RemoteFile
from bench.files import write_text

CHUNK_BYTES = 1 << 20
Report = Callable[[int], None]  # bytes that are on the disk


class DownloadError(ValueError):
    """A file that could not be downloaded. One line: what, got, expected, what to do."""


@dataclass(frozen=True)
class Patience:
    """How long a download goes on trying.

    Attributes:
        attempts: Attempts in a row without a new byte before it gives up.
        wait_s: Seconds before the second attempt. They double each time.
        longest_s: Most seconds between two attempts.
    """

    attempts: int = 5
    wait_s: float = 1.0
    longest_s: float = 60.0


@dataclass
class Download:
    """What a download took.

    Attributes:
        path: The file.
        received_bytes: Over the network.
        requests: Number of requests that were sent.
        resumed: How many of them went on from a part.
    """

    path: Path
    received_bytes: int = 0
    requests: int = 0
    resumed: int = 0


@dataclass(frozen=True)
class _Transfer:
    """A download on its way: what is wanted, where it grows, what it took so far, and who is told of it."""

    file: RemoteFile
    part: Path
    done: Download
    report: Report | None


class _Broken(Exception):
    """The connection ended early: worth another attempt."""


def target_path(folder: Path, path: str) -> Path:
    """Place the `path` of a listing below `folder`. DownloadError where it would leave it."""
    parts = PurePosixPath(path).parts
    if not parts or PurePosixPath(path).is_absolute() or ".." in parts or "\\" in path or ":" in parts[0]:
        raise DownloadError(f"{path}: the source lists a path outside the folder; nothing is written")
    return folder.joinpath(*parts)


def download(file: RemoteFile, folder: Path, patience: Patience, report: Report | None = None) -> Download:
    """Bring a file to `folder`. A file of the right size that is there is kept, and a `.part` is continued.

    Only the process that has claimed the file may call this, because every process continues the same `.part`.

    Args:
        file: What to download.
        folder: The dataset's folder.
        patience: How long to go on trying.
        report: Called with the bytes that are on the disk.

    Returns:
        What it took.

    Raises:
        DownloadError: another file is in the way, or the server does not give what it listed.
    """
    target = target_path(folder, file.path)
    done = Download(target)
    if (
        target.is_file()
        and file.content is None
        and target.stat().st_size == (file.size_bytes or target.stat().st_size)
    ):
        return done
    if file.content is None and os.path.lexists(target):
        raise DownloadError(
            f"{target}: is there and is another file than the source lists ({file.size_bytes} bytes); it is not "
            "overwritten: move it away and run the same command again"
        )
    target.parent.mkdir(parents=True, exist_ok=True)
    if file.content is not None:
        write_text(target, file.content)
        return done
    part = target.with_name(f"{target.name}.part")
    for fresh in (False, True):
        _complete(_Transfer(file, part, done, report), patience)
        found = checksum_of(part, file.checksum) if file.checksum else None
        if found == file.checksum:
            break
        part.unlink()  # nothing says which bytes are wrong
        if fresh:
            raise DownloadError(
                f"{file.url}: checksum {found}, the source lists {file.checksum}; downloaded twice, wrong both times: "
                "try again later or name another server with --from"
            )
    os.replace(part, target)
    _etag(part).unlink(missing_ok=True)
    return done


def checksum_of(path: Path, like: str) -> str:
    """Compute the checksum of a file, of the same kind as `like` ("md5:..." or "sha256:...")."""
    kind = like.split(":")[0]
    if kind not in ("md5", "sha256", "sha512"):
        raise DownloadError(f"{path.name}: checksum {like!r} of an unknown kind; md5, sha256 and sha512 are known")
    with path.open("rb") as handle:
        return f"{kind}:{hashlib.file_digest(handle, kind).hexdigest()}"


def _etag(part: Path) -> Path:
    return part.with_name(f"{part.name}.etag")


def _complete(transfer: _Transfer, patience: Patience) -> None:
    """Send requests until the part has the listed size (or the server says it is whole)."""
    file, part = transfer.file, transfer.part
    idle, most = 0, part.stat().st_size if part.is_file() else 0
    while True:
        before = part.stat().st_size if part.is_file() else 0
        if file.size_bytes is not None and before == file.size_bytes:
            return
        wait_s, reason = patience.wait_s * 2**idle, ""
        try:
            _one_request(transfer)
            if file.size_bytes is None or part.stat().st_size == file.size_bytes:
                return
            reason = "the connection ended early"
        except _Broken as broken:
            reason = str(broken)
        have = part.stat().st_size if part.is_file() else 0
        idle = 0 if have > most else idle + 1  # a part begun anew makes progress once it is longer than ever
        most = max(most, have)
        if idle >= patience.attempts:
            raise DownloadError(
                f"{file.url}: {reason}; {have} of {file.size_bytes or '?'} bytes are kept: run the same command "
                "again to go on"
            )
        time.sleep(min(wait_s, patience.longest_s) if idle else 0)


def _one_request(transfer: _Transfer) -> None:
    """One GET from where the part ends; the part starts anew where the server ignores the range."""
    file, part, done = transfer.file, transfer.part, transfer.done
    have = part.stat().st_size if part.is_file() else 0
    if file.size_bytes is not None and have > file.size_bytes:
        have = 0
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
        if _etag(part).is_file():
            headers["If-Range"] = _etag(part).read_text()
    done.requests += 1
    try:
        with requests.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as answer:
            start = _start(transfer, answer, have)
            done.resumed += start > 0
            _receive(transfer, answer, start)
    except requests.RequestException as error:
        raise _Broken(str(error).splitlines()[0][:160] or type(error).__name__) from error


def _start(transfer: _Transfer, answer: requests.Response, have: int) -> int:
    """Byte at which the answer begins; errors for answers that cannot be used."""
    file, part = transfer.file, transfer.part
    if answer.status_code == 416:  # the part is no beginning of what the server has
        part.unlink(missing_ok=True)
        raise _Broken("the server refuses the rest of the part, which is begun anew")
    if answer.status_code in (408, 425, 429) or answer.status_code >= 500:
        raise _Broken(f"HTTP {answer.status_code}")
    if answer.status_code not in (200, 206):
        raise DownloadError(f"{file.url}: HTTP {answer.status_code}; the source may have moved, see the dataset's card")
    start, total = 0, int(answer.headers["Content-Length"]) if "Content-Length" in answer.headers else None
    if answer.status_code == 206:
        unit, _, rest = answer.headers.get("Content-Range", "").partition(" ")
        span, _, whole = rest.partition("/")
        begin = span.partition("-")[0]
        if unit != "bytes" or not begin.isdigit() or int(begin) != have:
            part.unlink(missing_ok=True)
            raise _Broken(f"the server answered with another range ({rest or 'none'}), the part is begun anew")
        start, total = have, int(whole) if whole.isdigit() else None
    if file.size_bytes is not None and total is not None and total != file.size_bytes:
        raise DownloadError(
            f"{file.url}: the server offers {total} bytes, the source lists {file.size_bytes}; not the same file: "
            "try again later or name another server with --from"
        )
    tag = answer.headers.get("ETag", "")
    if tag and not tag.startswith("W/"):
        _etag(part).write_text(tag)
    return start


def _receive(transfer: _Transfer, answer: requests.Response, start: int) -> None:
    """Append the answer to the part, from byte `start` on."""
    file, done = transfer.file, transfer.done
    have = start
    with transfer.part.open("r+b" if start else "wb") as handle:
        handle.seek(start)
        for chunk in answer.iter_content(CHUNK_BYTES):
            have += len(chunk)
            if file.size_bytes is not None and have > file.size_bytes:
                raise DownloadError(
                    f"{file.url}: the server sends more than the {file.size_bytes} bytes that the source lists; stopped"
                )
            handle.write(chunk)
            done.received_bytes += len(chunk)
            if transfer.report:
                transfer.report(have)
