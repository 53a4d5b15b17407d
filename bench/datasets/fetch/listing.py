"""What a source offers: names, sizes and checksums as the official server lists them, before anything is downloaded."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any
from urllib.parse import quote
from xml.etree import ElementTree

import requests

from bench.errors import UsageError

TIMEOUT_S = (10, 60)  # connect, read
ZENODO = "https://zenodo.org"
S3_NAMESPACE = {"s3": "http://s3.amazonaws.com/doc/2006-03-01/"}


@dataclass(frozen=True)
class RemoteFile:
    """One file to download.

    Attributes:
        url: Where it is.
        path: Where it goes, below the dataset's folder.
        size_bytes: As the server lists it; None where it does not.
        checksum: "md5:..." or "sha256:..."; None where the server gives none.
        unpack: Whether it is an archive whose content is wanted.
        content: Text that the listing itself gave. It is written as it is.
    """

    url: str
    path: str
    size_bytes: int | None
    checksum: str | None
    unpack: bool = False
    content: str | None = None


def ask(url: str, **options: Any) -> requests.Response:
    """Ask a server for a listing: GET, or POST where `json` is given. UsageError where it does not answer."""
    try:
        method = "POST" if "json" in options else "GET"
        answer = requests.request(method, url, timeout=TIMEOUT_S, **options)
        answer.raise_for_status()
        return answer
    except requests.RequestException as error:
        raise UsageError(
            f"{url}: cannot be listed ({_reason(error)}); check the connection and run the same command again, or name "
            "another server with --from"
        ) from error


def _reason(error: requests.RequestException) -> str:
    if error.response is not None:
        return f"HTTP {error.response.status_code}"
    return str(error).splitlines()[0][:160] or type(error).__name__


def zenodo(record: int, names: tuple[str, ...], endpoint: str | None = None) -> list[RemoteFile]:
    """List archives of a Zenodo record.

    Args:
        record: Number of the record.
        names: Files of it that are wanted.
        endpoint: Server in place of zenodo.org.

    Returns:
        The files, all to be unpacked.

    Raises:
        UsageError: the server does not answer, or the record has no such file.
    """
    base = (endpoint or ZENODO).rstrip("/")
    url = f"{base}/api/records/{record}"
    try:
        listed = {file["key"]: file for file in ask(url).json()["files"]}
        missing = [name for name in names if name not in listed]
        if missing:
            raise UsageError(f"{url}: the record has no {', '.join(missing)}; it has {', '.join(listed)}")
        return [
            RemoteFile(f"{url}/files/{quote(n)}/content", n, int(listed[n]["size"]), listed[n]["checksum"], unpack=True)
            for n in names
        ]
    except (KeyError, TypeError, requests.JSONDecodeError) as error:
        raise UsageError(f"{url}: not a Zenodo record ({type(error).__name__}: {error})") from error


def s3_bucket(bucket: str, prefix: str, wanted: tuple[str, ...], endpoint: str | None = None) -> list[RemoteFile]:
    """List objects of a public bucket.

    Args:
        bucket: Address of the bucket.
        prefix: Folder in it.
        wanted: Beginnings of the paths below `prefix` that are wanted.
        endpoint: Server in place of `bucket`.

    Returns:
        The files, with MD5 where the bucket has a checksums.md5.

    Raises:
        UsageError: the server does not answer as a bucket.
    """
    base = (endpoint or bucket).rstrip("/")
    objects: list[tuple[str, int]] = []
    token: str | None = None
    while True:
        query = {"list-type": "2", "prefix": prefix, **({"continuation-token": token} if token else {})}
        answer = ask(base, params=query)
        try:
            root = ElementTree.fromstring(answer.content)
        except ElementTree.ParseError as error:
            raise UsageError(f"{base}: not a bucket listing ({error})") from error
        for entry in root.findall("s3:Contents", S3_NAMESPACE):
            objects.append((_text(entry, "Key"), int(_text(entry, "Size"))))
        token = _text(root, "NextContinuationToken") or None
        if token is None:
            break
    sums = _checksums(f"{base}/{prefix}checksums.md5", prefix) if f"{prefix}checksums.md5" in dict(objects) else {}
    return [
        RemoteFile(f"{base}/{quote(key)}", key.removeprefix(prefix), size, sums.get(key.removeprefix(prefix)))
        for key, size in objects
        if key.removeprefix(prefix).startswith(wanted) and not key.endswith("/")
    ]


def _text(element: ElementTree.Element, tag: str) -> str:
    found = element.find(f"s3:{tag}", S3_NAMESPACE)
    return (found.text or "") if found is not None else ""


def _checksums(url: str, prefix: str) -> dict[str, str]:
    """md5sum's output: `<md5>  <path>`, the path with or without ./ and the prefix."""
    found = {}
    for line in ask(url).text.splitlines():
        digest, _, name = line.strip().partition(" ")
        name = name.strip().lstrip("*").removeprefix("./").removeprefix(prefix)
        if len(digest) == 32 and name:
            found[name] = f"md5:{digest.lower()}"
    return found
