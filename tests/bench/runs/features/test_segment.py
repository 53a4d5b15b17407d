"""Files of features: any reader of safetensors can open them, and what was changed is found out."""

import numpy as np
import pytest
from safetensors.numpy import load_file

from bench.runs.features.segment import (
    DamagedSegmentError,
    check_segment,
    read_cells,
    read_segment,
    write_segment,
)
from tests.bench.runs.features.stores import CELLS, DIM, features_at, filled, segments, store_in

CELLS_OF = np.arange(5, 205, 2, dtype=np.int32)


@pytest.mark.parametrize("precision", ("float32", "float16"))
def test_what_was_written_is_read_and_others_can_read_it(tmp_path, precision):
    rows = features_at(CELLS_OF).astype(precision)
    written = write_segment(tmp_path / "x.safetensors", CELLS_OF, rows, {"machine": {"cpu": "one"}})
    segment = check_segment(written.path)
    assert segment == written and segment.notes == {"machine": {"cpu": "one"}}
    assert (segment.n, segment.dim, segment.precision) == (100, DIM, precision)
    assert np.array_equal(read_cells(segment), CELLS_OF)
    places = np.array([0, 1, 2, 50, 98, 99, 7])
    found = segment.read_rows(places)
    assert found.dtype == rows.dtype and np.array_equal(found, rows[places])
    plain = load_file(written.path)
    assert np.array_equal(plain["cells"], CELLS_OF) and np.array_equal(plain["rows"], rows)


def test_a_writer_that_fails_leaves_nothing(tmp_path, monkeypatch):
    def full(_path):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("bench.files.sync", full)
    with pytest.raises(OSError, match="No space left"):
        write_segment(tmp_path / "x.safetensors", CELLS_OF, features_at(CELLS_OF), {})
    assert not list(tmp_path.iterdir())


def flipped(content, place):
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


HARMS = {
    "cut": lambda b: b[:-1],
    "cut in the header": lambda b: b[:20],
    "empty": lambda b: b"",
    "longer": lambda b: b + b"x",
    "another width": lambda b: b.replace(b"[200,8]", b"[200,4]"),
    "another format": lambda b: b.replace(b"jsma-features-1", b"jsma-features-9"),
    "another file": lambda b: b"\x89PNG" + b,
}
SILENT_HARMS = {
    "feature": lambda b: flipped(b, len(b) - 5),
    "cell": lambda b: flipped(b, len(b) - 200 * 4 * DIM - 4),
    "price": lambda b: b.replace(b'patches\\": 200', b'patches\\": 100'),
}


@pytest.mark.parametrize("harm", HARMS)
def test_what_is_no_whole_file_is_told_once_and_counts_as_absent(tmp_path, caplog, harm, monkeypatch):
    monkeypatch.setattr("bench.runs.features.disk_store.LOOK_S", 0.0)
    filled(tmp_path)
    (path,) = segments(tmp_path)
    before = path.read_bytes()
    path.write_bytes(HARMS[harm](before))
    assert path.read_bytes() != before
    filled(tmp_path, cells=range(200, 260))
    store, asked = store_in(tmp_path), np.arange(CELLS)
    for _ in range(2):
        rows, lacking = store.get("s", asked)
        assert lacking.tolist() == [True] * 200 + [False] * 60 + [True] * (CELLS - 260)
        assert np.array_equal(rows[200:260], features_at(range(200, 260))) and not rows[:200].any()
    (said,) = caplog.messages
    assert str(path) in said and "passed over" in said
    with pytest.raises(DamagedSegmentError, match=str(path)):
        check_segment(path)


@pytest.mark.parametrize("harm", SILENT_HARMS)
def test_a_changed_byte_is_found_by_the_check(tmp_path, harm):
    filled(tmp_path)
    (path,) = segments(tmp_path)
    before = path.read_bytes()
    check_segment(path)
    path.write_bytes(SILENT_HARMS[harm](before))
    assert path.read_bytes() != before
    read_segment(path)
    with pytest.raises(DamagedSegmentError, match="changed"):
        check_segment(path)
