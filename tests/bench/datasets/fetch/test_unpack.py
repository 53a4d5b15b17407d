"""Archives that climb out, link, lie about their size or are damaged are refused whole."""

import io
import stat
import zipfile

import pytest

from bench.datasets.fetch import unpack as unpacking
from bench.datasets.fetch.unpack import UnpackError, unpack


def packed(tmp_path, *members):
    path = tmp_path / "a.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        for name, content in members:
            zipped.writestr(name, content)
    return path


def link(name, target):
    info = zipfile.ZipInfo(name)
    info.external_attr = (stat.S_IFLNK | 0o777) << 16
    return info, target


REFUSED = {
    "climbs": [("good.txt", "x"), ("../evil.txt", "x")],
    "climbs inside": [("a/../../evil.txt", "x")],
    "absolute": [("/tmp-evil.txt", "x")],
    "backslash": [("a\\..\\..\\evil.txt", "x")],
    "drive": [("c:/evil.txt", "x")],
    "link": [link("photos", "/etc")],
}


@pytest.mark.parametrize("case", REFUSED)
def test_paths_that_leave_the_folder(case, tmp_path):
    folder = tmp_path / "in" / "here"
    folder.mkdir(parents=True)
    path = packed(tmp_path, *REFUSED[case])
    before = sorted(p for p in tmp_path.rglob("*"))
    if case == "backslash":  # zipfile itself turns the separators round when it writes; put the name back
        path.write_bytes(path.read_bytes().replace(b"a/../../evil.txt", b"a\\..\\..\\evil.txt"))
    with pytest.raises(UnpackError, match="nothing was unpacked"):
        unpack(path, folder)
    assert sorted(p for p in tmp_path.rglob("*")) == before, "all or nothing"


def test_bomb_by_ratio(tmp_path, monkeypatch):
    monkeypatch.setattr(unpacking, "SMALL_BYTES", 1000)
    path = packed(tmp_path, ("zeros.bin", bytes(20_000_000)))
    with pytest.raises(UnpackError, match="zip bomb"):
        unpack(path, tmp_path / "out" if (tmp_path / "out").mkdir() else tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_bomb_that_lies_about_its_size(tmp_path):
    """The header says 10 bytes, the stream holds a megabyte: no more than declared is ever written."""
    path = packed(tmp_path, ("zeros.bin", bytes(1_000_000)))
    content = path.read_bytes()
    path.write_bytes(content.replace((1_000_000).to_bytes(4, "little"), (10).to_bytes(4, "little")))
    (tmp_path / "out").mkdir()
    with pytest.raises(UnpackError):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").rglob("*")) == []


def test_more_than_the_disk_has(tmp_path, monkeypatch):
    path = packed(tmp_path, ("a.bin", bytes(1000)))
    monkeypatch.setattr(unpacking.shutil, "disk_usage", lambda folder: type("Usage", (), {"free": 10})())
    with pytest.raises(UnpackError, match="GB free"):
        unpack(path, tmp_path)


def test_damage_leaves_nothing(tmp_path):
    path = packed(tmp_path, ("a.txt", "first"), ("b.txt", "second" * 1000))
    content = bytearray(path.read_bytes())
    with zipfile.ZipFile(io.BytesIO(bytes(content))) as zipped:
        at = zipped.getinfo("b.txt").header_offset + 40
    content[at] ^= 0xFF
    path.write_bytes(bytes(content))
    (tmp_path / "out").mkdir()
    with pytest.raises(UnpackError, match="damaged"):
        unpack(path, tmp_path / "out")
    assert list((tmp_path / "out").iterdir()) == []


def test_a_good_archive(tmp_path):
    path = packed(tmp_path, ("deep/er/a.txt", "x"), ("b.txt", "y"))
    (tmp_path / "out").mkdir()
    placed = unpack(path, tmp_path / "out")
    assert sorted(p.relative_to(tmp_path / "out").as_posix() for p in placed) == ["b.txt", "deep/er/a.txt"]
    assert (tmp_path / "out" / "deep" / "er" / "a.txt").read_text() == "x"
