"""A file of the user that stands where a download would go."""

import pytest

from bench.datasets.fetch.download import DownloadError, Patience, download
from bench.datasets.fetch.listing import RemoteFile


def test_another_file_of_that_name_is_not_overwritten(tmp_path):
    (tmp_path / "slides.zip").write_bytes(b"my own")
    file = RemoteFile("http://127.0.0.1:9/slides.zip", "slides.zip", size_bytes=1000, checksum=None)
    with pytest.raises(DownloadError, match=r"slides.zip: is there and is another file .* \(1000 bytes\); .* move it"):
        download(file, tmp_path, Patience(1, 0.0))
    assert (tmp_path / "slides.zip").read_bytes() == b"my own"
