"""`data fetch` against a real server that breaks, ignores ranges, and sends the wrong size or the wrong bytes."""

import io
import json
import os
import zipfile

import psutil
import pytest

from bench import files
from bench.claims import Claims, Owner
from bench.datasets.fetch import download as downloading
from tests.bench.datasets import layouts

RECORD, ARCHIVE = 3632035, "ICIAR2018_BACH_Challenge.zip"
QUICK = ["--accept-licence", "--wait-s", "0"]


@pytest.fixture(scope="module")
def archive(tmp_path_factory) -> bytes:
    """The BACH layout as the zip of the Zenodo record, padded so that it takes several reads."""
    data = layouts.bach(tmp_path_factory.mktemp("archive"))
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w") as zipped:
        for path in sorted((data / "bach").rglob("*")):
            if path.is_file():
                zipped.write(path, path.relative_to(data / "bach"))
    return packed.getvalue()


def fetched_whole(folder):
    return len(list((folder / "bach" / "ICIAR2018_BACH_Challenge" / "Photos").rglob("*.tif"))) == 37


def leftovers(folder):
    return sorted(p.name for p in (folder / "bach").iterdir() if "part" in p.name or "unpacking" in p.name)


# fault -> (exit code, requests, resumed requests)
SURVIVED = {
    "": (1, 0),
    "breaks thrice": (4, 3),
    "busy twice": (3, 0),
    "breaks and ignores ranges": (2, 0),
    "other range": (3, 0),
    "refuses ranges": (3, 0),
    "wrong bytes once": (2, 0),
}


@pytest.mark.parametrize("fault", SURVIVED)
def test_faults_that_are_survived(fault, server, archive, command, tmp_path, monkeypatch):
    monkeypatch.setattr(downloading, "CHUNK_BYTES", 1 << 16)
    path = server.zenodo(RECORD, ARCHIVE, archive)
    server.faults[path] = fault
    code, out, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 0, err
    requests, resumed = SURVIVED[fault]
    assert server.asked[path] == requests
    assert f"{resumed} resumed requests" in out
    assert fetched_whole(tmp_path) and leftovers(tmp_path) == []
    assert not (tmp_path / "bach" / ARCHIVE).exists(), "the archive is deleted once unpacked"
    if fault == "breaks thrice":
        starts = [int(r.removeprefix("bytes=").rstrip("-")) for _, r in server.ranges if r]
        assert starts == sorted(starts) and starts[0] > 0
        received = int(out.split(" bytes received")[0].split()[-1])
        assert received == len(archive), "no byte is fetched twice"


FATAL = {
    "always breaks": ("bytes are kept: run the same command again", []),
    "wrong bytes": ("downloaded twice, wrong both times", []),
    "longer": ("the source lists", []),
    "more than promised": ("the server sends more than", None),
    "gone": ("HTTP 404", []),
    "too short, length unsaid": ("bytes are kept: run the same command again", None),
}


@pytest.mark.parametrize("fault", FATAL)
def test_faults_that_end_it(fault, server, archive, command, tmp_path):
    path = server.zenodo(RECORD, ARCHIVE, archive)
    server.faults[path] = fault
    code, out, err = command(
        "data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK, "--attempts", "3"
    )
    words, left = FATAL[fault]
    assert code == 3 and words in err and "Traceback" not in err
    assert len(err.splitlines()) == 1 and err.startswith(f"failed: {ARCHIVE}: ")
    assert not (tmp_path / "bach" / ARCHIVE).exists(), "nothing stands under its name that is not whole"
    assert not fetched_whole(tmp_path)
    server.faults.clear()
    code, _, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 0 and fetched_whole(tmp_path), err


def test_listed_size_or_checksum_wrong(server, archive, command, tmp_path):
    server.zenodo(RECORD, ARCHIVE, archive, size=len(archive) + 1)
    code, _, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 3 and f"the server offers {len(archive)} bytes, the source lists {len(archive) + 1}" in err
    path = server.zenodo(RECORD, ARCHIVE, archive, checksum="md5:" + "0" * 32)
    code, _, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 3 and "the source lists md5:000" in err
    assert server.asked[path] == 3, "one for the size, twice for the checksum"


def test_a_file_that_changed_is_not_mixed_with_its_part(server, archive, command, tmp_path):
    path = server.zenodo(RECORD, ARCHIVE, archive)
    server.faults[path] = "always breaks"
    folder = tmp_path / "bach"
    folder.mkdir()
    (folder / f"{ARCHIVE}.part").write_bytes(b"of another version" * 100)
    (folder / f"{ARCHIVE}.part.etag").write_text('"of another version"')
    server.faults.clear()
    code, out, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 0, err
    assert "0 resumed" in out and fetched_whole(tmp_path)


def test_fetching_again_asks_nothing_of_the_server(server, archive, command, tmp_path):
    path = server.zenodo(RECORD, ARCHIVE, archive)
    for _ in range(2):
        assert command("data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK)[0] == 0
    assert server.asked[path] == 1
    code, out, _ = command("data", "info", "bach", "--data", tmp_path)
    assert code == 0 and "here: 36 slides" in out


def claimed(folder, name, pid, started):
    """A claim of the process on the file; returns the part that it was writing."""
    folder.mkdir(parents=True, exist_ok=True)
    owner = Owner(pid, files.host(), "here", started)
    (folder / f"{name}.claim").write_text(json.dumps(vars(owner)))
    return folder / f"{name}.part"


def test_what_another_process_is_fetching_is_left_to_it(server, archive, command, tmp_path):
    path = server.zenodo(RECORD, ARCHIVE, archive)
    other = psutil.Process(os.getppid())
    part = claimed(tmp_path / "bach", ARCHIVE, other.pid, other.create_time())
    part.write_bytes(archive[:1000])
    arguments = ["data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK]
    code, _, err = command(*arguments)
    assert code == 3 and f"process {other.pid} on here is fetching it" in err and len(err.splitlines()) == 1
    assert part.read_bytes() == archive[:1000] and not server.asked[path], "not a byte of it was touched"
    claimed(tmp_path / "bach", ARCHIVE, 999_999_999, 1.0)  # it was killed
    code, out, err = command(*arguments)
    assert code == 0 and "1 resumed" in out and fetched_whole(tmp_path), err
    assert leftovers(tmp_path) == [] and not list((tmp_path / "bach").glob("*.claim"))


def test_what_another_process_fetched_meanwhile_is_not_fetched_again(server, archive, command, tmp_path, monkeypatch):
    path = server.zenodo(RECORD, ARCHIVE, archive)
    arguments = ["data", "fetch", "bach", "--data", tmp_path, "--from", server.url, *QUICK]
    take = Claims.take

    def late(claims, name):
        if not (tmp_path / "bach" / f".{ARCHIVE}-unpacked").exists():
            (tmp_path / "bach" / f".{ARCHIVE}-unpacked").write_text("")
        return take(claims, name)

    monkeypatch.setattr(Claims, "take", late)
    assert command(*arguments)[0] == 0 and not server.asked[path]


def test_a_damaged_note_of_the_licence_is_asked_again(server, archive, command, tmp_path):
    server.zenodo(RECORD, ARCHIVE, archive)
    (tmp_path / "bach").mkdir()
    (tmp_path / "bach" / "licence-accepted.json").write_text('{"dataset": ')
    arguments = ["data", "fetch", "bach", "--data", tmp_path, "--from", server.url, "--wait-s", "0"]
    code, _, err = command(*arguments)
    assert code == 2 and "--accept-licence" in err and len(err.splitlines()) == 1


def test_licence_is_asked_once(server, archive, command, tmp_path):
    server.zenodo(RECORD, ARCHIVE, archive)
    arguments = ["data", "fetch", "bach", "--data", tmp_path, "--from", server.url, "--wait-s", "0"]
    code, _, err = command(*arguments)  # no terminal to ask on
    assert code == 2 and "CC BY-NC-ND 4.0" in err and "--accept-licence" in err
    assert not (tmp_path / "bach").exists(), "nothing is written before the licence is accepted"
    assert command(*arguments, "--accept-licence")[0] == 0
    assert json.loads((tmp_path / "bach" / "licence-accepted.json").read_text())["licence"] == "CC BY-NC-ND 4.0"
    assert command(*arguments)[0] == 0


def test_no_connection_is_one_line(command, tmp_path):
    code, _, err = command("data", "fetch", "bach", "--data", tmp_path, "--from", "http://127.0.0.1:9", *QUICK)
    assert code == 2 and len(err.splitlines()) == 1 and "cannot be listed" in err


def test_run_never_fetches(server, archive, command, tmp_path, monkeypatch):
    server.zenodo(RECORD, ARCHIVE, archive)
    monkeypatch.setattr("bench.datasets.fetch.listing.ZENODO", server.url)
    code, _, err = command("run", "--dataset", "bach", "--data", tmp_path)
    assert code == 2 and "data fetch bach" in err
    assert not server.asked
