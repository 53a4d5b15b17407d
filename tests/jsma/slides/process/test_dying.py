"""A decoding process that dies or does not answer, and files that never end."""

from __future__ import annotations

import os
import signal
import time

import numpy as np
import pytest

from jsma.slides import DamagedSlideError, Regions, SlideError, open_slide
from jsma.slides.process.client import Isolated


def dying(monkeypatch, number: int, times: int) -> Isolated:
    """A client whose decoding process gets the signal `number` just before it is asked, that many times."""
    mine, ask, left = Isolated(1), Isolated._ask, [times]

    def killing(self, request, descriptor=None):
        sock = self._start()
        if left[0] and self._child is not None:
            left[0] -= 1
            os.kill(self._child.pid, number)
            if number != signal.SIGSTOP:
                self._child.wait()
        assert sock is self._sock
        monkeypatch.setattr(self, "_start", lambda: sock)
        try:
            return ask(self, request, descriptor)
        finally:
            monkeypatch.undo()
            monkeypatch.setattr(Isolated, "_ask", killing)

    monkeypatch.setattr(Isolated, "_ask", killing)
    return mine


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
def test_decoder_that_is_killed_once_is_asked_again(jpeg, monkeypatch, number):
    opened = open_slide(jpeg)
    regions = Regions(np.array([[300.0, 300.0]]), 0.5, 64, 64)
    want = opened.read(regions)[0].copy()
    mine = dying(monkeypatch, number, 1)
    opened._decoder = mine
    assert np.array_equal(opened.read(regions)[0], want)
    assert np.array_equal(opened.read(regions)[0], want)  # and the conversation is in step
    mine.close()


def test_decoder_that_dies_twice(jpeg, monkeypatch):
    """A kill is not the file's fault; a crash in both processes is."""
    opened = open_slide(jpeg)
    regions = Regions(np.array([[300.0, 300.0]]), 0.5, 64, 64)
    for number, kind, words in (
        (signal.SIGKILL, SlideError, "SIGKILL.*lack of memory"),
        (signal.SIGSEGV, DamagedSlideError, "SIGSEGV.*probably damaged"),
    ):
        opened._decoder = mine = dying(monkeypatch, number, 2)
        with pytest.raises(SlideError, match=words) as caught:
            opened.read(regions)
        assert type(caught.value) is kind and "\n" not in str(caught.value)
        mine.close()
        monkeypatch.undo()


def test_decoder_that_is_stopped_is_ended_after_the_limit(jpeg, monkeypatch):
    opened = open_slide(jpeg)
    regions = Regions(np.array([[300.0, 300.0]]), 0.5, 64, 64)
    opened._decoder = mine = dying(monkeypatch, signal.SIGSTOP, 1)
    monkeypatch.setenv("JSMA_DECODE_TIMEOUT_S", "0.5")
    begun = time.monotonic()
    with pytest.raises(SlideError, match="0.5 s.*JSMA_DECODE_TIMEOUT_S"):
        opened.read(regions)
    assert time.monotonic() - begun < 10
    monkeypatch.undo()
    opened.read(regions)  # a new process
    mine.close()
    for bad in ("x", "0", "-3", "nan"):
        monkeypatch.setenv("JSMA_DECODE_TIMEOUT_S", bad)
        with pytest.raises(SlideError, match="JSMA_DECODE_TIMEOUT_S='" + bad):
            open_slide(jpeg, preflight=False).read(regions)


@pytest.fixture
def impatient():
    """An error where the test takes longer than 20 s, as one that hangs does."""
    before = signal.signal(signal.SIGALRM, lambda *_: pytest.fail("hangs"))
    signal.alarm(20)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.mark.parametrize("name", ["s.svs", "s.tif", "s.png", "s.ndpi"])
def test_fifo_and_device_are_refused_and_do_not_hang(tmp_path, name, impatient):
    os.mkfifo(tmp_path / name)
    with pytest.raises(SlideError, match="no regular file"):
        open_slide(tmp_path / name)
    (tmp_path / f"l{name}").symlink_to("/dev/zero")
    with pytest.raises(SlideError, match="no regular file"):
        open_slide(tmp_path / f"l{name}", reader="array")


def test_fifo_as_annotation_or_slide_of_a_table(tmp_path, impatient):
    from bench.datasets.content import annotation_digests, slide_digests
    from bench.datasets.evidence.files import annotation_bytes

    fifo = str(tmp_path / "s.xml")
    os.mkfifo(fifo)
    assert slide_digests([fifo]) == [None] and annotation_digests([fifo]) == [None]
    with pytest.raises(SlideError, match="no regular file"):
        annotation_bytes(fifo)
