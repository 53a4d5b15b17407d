"""Which reader, scale and decoder are chosen, and that the record says so."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from jsma.slides import DamagedSlideError, Regions, SlideError, open_slide
from jsma.slides.opening.decoder import settle_decoder
from jsma.slides.opening.mpp import RULES, choose_mpp
from jsma.slides.process.client import InProcess

FLAT = np.full((4, 8, 8, 3), 100, np.uint8)


class Probe:
    """Stands in for a slide on a machine with a GPU: what each decoder returns, and how long it takes."""

    def __init__(self, gpu: np.ndarray | SlideError, gpu_s: float, cpu_s: float = 1.0) -> None:
        self.gpu, self.cost, self.now = gpu, {"gpu": gpu_s, "cpu": cpu_s}, 0.0
        self.reads: list[str] = []

    def read(self, decoder: str) -> np.ndarray:
        self.reads.append(decoder)
        self.now += self.cost[decoder]
        if decoder == "gpu" and isinstance(self.gpu, SlideError):
            raise self.gpu
        return self.gpu if decoder == "gpu" and isinstance(self.gpu, np.ndarray) else FLAT

    def settle(self, asked: str, reader: str = "cucim") -> tuple[str, str]:
        return settle_decoder("s.tif", asked, reader, self.read, lambda: self.now)


def test_cpu_runs_no_probe():
    probe = Probe(FLAT, 0.1)
    assert probe.settle("cpu")[0] == "cpu" and probe.reads == []


@pytest.mark.parametrize("gpu_s, chosen", [(0.4, "gpu"), (2.5, "cpu")])
def test_auto_takes_the_faster_one(gpu_s, chosen):
    decoder, reason = Probe(FLAT, gpu_s).settle("auto")
    assert decoder == chosen and f"{1 / gpu_s:.2f} times" in reason


def test_auto_stays_on_the_cpu_where_pixels_differ_or_the_gpu_fails():
    assert Probe(FLAT + 9, 0.1).settle("auto") == (
        "cpu",
        "GPU and CPU pixels differ by 9.0 grey levels, at most 3 allowed",
    )
    decoder, reason = Probe(SlideError("no CUDA device"), 0.1).settle("auto")
    assert decoder == "cpu" and "no CUDA device" in reason
    assert Probe(FLAT, 0.1).settle("auto", "tifffile") == ("cpu", "reader 'tifffile' decodes on the CPU only")


def test_gpu_asked_for_is_taken_or_an_error():
    assert Probe(FLAT + 1, 9.0).settle("gpu")[0] == "gpu"  # slower, but asked for
    for probe, reader in (
        (Probe(FLAT + 9, 0.1), "cucim"),
        (Probe(SlideError("x"), 0.1), "cucim"),
        (Probe(FLAT, 0.1), "openslide"),
    ):
        with pytest.raises(SlideError):
            probe.settle("gpu", reader)


def test_decoder_of_a_real_slide_without_gpu(jpeg):
    cupy = pytest.importorskip("cupy")
    try:
        if cupy.cuda.runtime.getDeviceCount():
            pytest.skip("this machine has a GPU")
    except cupy.cuda.runtime.CUDARuntimeError:
        pass
    with pytest.raises(SlideError, match="decoder='gpu' needs an NVIDIA GPU") as caught:
        open_slide(jpeg, decoder="gpu")
    assert "\n" not in str(caught.value)
    info = open_slide(jpeg, decoder="auto").info
    assert info.decoder == "cpu" and "needs an NVIDIA GPU" in info.decoder_reason
    with pytest.raises(SlideError, match="cpu, cucim, gpu, auto"):
        open_slide(jpeg, decoder="tpu")


def test_first_rule_with_a_believable_value_wins():
    assert RULES == (
        "Aperio MPP",
        "OME PhysicalSizeX",
        "Philips pixel spacing",
        "openslide.mpp-x",
        "ImageJ unit",
        "TIFF XResolution",
        "objective power",
    )
    all_of_them = {rule: (0.1 * (n + 1), 0.1 * (n + 1)) for n, rule in enumerate(RULES)}
    for n, rule in enumerate(RULES):
        assert choose_mpp("s", None, all_of_them) == (pytest.approx(0.1 * (n + 1)), rule)
        all_of_them[rule] = (352.8, 352.8)  # 72 dots per inch
    with pytest.raises(SlideError, match="`mpp` column"):
        choose_mpp("s", None, all_of_them)
    assert choose_mpp("s", 0.7, all_of_them) == (0.7, "explicit")


def test_pixels_that_are_not_square_are_refused(levels, tmp_path):
    import tifffile

    path = tmp_path / "s.tif"
    for y, fine in ((0.505, True), (0.6, False), (0.4, False)):
        tifffile.imwrite(
            path,
            levels[0],
            photometric="rgb",
            tile=(128, 128),
            resolution=(1e4 / 0.5, 1e4 / y),
            resolutionunit=3,
            metadata=None,
        )
        if fine:
            assert open_slide(path).info.mpp == pytest.approx(0.5)
            continue
        with pytest.raises(SlideError, match="not square.*`mpp` column"):
            open_slide(path)
        assert open_slide(path, mpp=0.5).info.mpp == 0.5


def test_objective_power_and_ome(levels, tmp_path, paint):
    text = "Aperio Image Library|AppMag = 40"
    info = open_slide(paint(tmp_path / "a.svs", levels[:1], "jpeg", None, description=text)).info
    assert (info.mpp, info.mpp_rule) == (0.25, "objective power")
    ome = '<?xml version="1.0"?><OME><Image><Pixels PhysicalSizeX="0.0003" PhysicalSizeXUnit="mm"/></Image></OME>'
    info = open_slide(paint(tmp_path / "b.tif", levels[:1], "jpeg", None, description=ome)).info
    assert (info.mpp, info.mpp_rule) == (pytest.approx(0.3), "OME PhysicalSizeX")


def test_openslide_metadata_give_the_scale(levels, tmp_path, paint):
    text = "Aperio Image Library v1\r\n9x9|AppMag = 20|MPP = 0.4"
    path = paint(tmp_path / "a.svs", levels[:1], "jpeg", None, description=text)
    info = open_slide(path, reader="openslide").info
    assert info.mpp == 0.4 and info.reader_reason == "asked for"


def test_default_reader_that_fails_is_replaced_and_an_asked_one_is_not(jpeg, monkeypatch):
    read = InProcess.read

    def failing(self, spec, plan, shape):
        if spec.reader == "cucim":
            raise DamagedSlideError(f"{spec.path}: the decoder died")
        return read(self, spec, plan, shape)

    monkeypatch.setattr(InProcess, "read", failing)
    info = open_slide(jpeg, in_process=True).info
    assert info.reader == "tifffile" and info.reader_reason == "cucim fails on it (the decoder died)"
    assert open_slide(jpeg, in_process=True).info.reader == "tifffile"  # remembered
    from jsma.slides import slide

    slide._passed.clear()
    with pytest.raises(DamagedSlideError, match="died"):
        open_slide(jpeg, reader="cucim", in_process=True)
    slide._passed.clear()


def test_who_decodes_is_recorded(jpeg, monkeypatch):
    """JPEG tiles do not pass through cuCIM by default, and the record says so; they do where that is asked for."""
    from cucim import CuImage

    own, calls = CuImage.read_region, []
    monkeypatch.setattr(CuImage, "read_region", lambda *a, **k: calls.append(a) or own(*a, **k))
    regions = Regions(np.array([[300.0, 200.0]]), 0.5, 50, 50)
    for decoder, words, through in (("cpu", "JPEG tiles by libjpeg-turbo", 0), ("cucim", "every tile by cuCIM", 1)):
        opened = open_slide(jpeg, decoder=decoder, in_process=True, reader="cucim", preflight=False)
        assert opened.info.decoder == decoder and words in opened.info.decoder_reason
        calls.clear()
        opened.read(regions)
        assert len(calls) == through
    with pytest.raises(SlideError, match="works with reader 'cucim' only"):
        open_slide(jpeg, reader="tifffile", decoder="cucim")


def test_preflight_compares_the_pixels_of_cucim_itself(jpeg, monkeypatch):
    from cucim import CuImage

    from jsma.slides import slide

    slide._passed.clear()
    monkeypatch.setattr(CuImage, "read_region", lambda self, at, size, level: np.full((*size[::-1], 3), 7, np.uint8))
    with pytest.raises(DamagedSlideError, match="readers disagree"):
        open_slide(jpeg, in_process=True, reader="cucim")


def test_reader_and_reason_are_recorded(jpeg, tmp_path):
    info = open_slide(jpeg).info
    assert info.reader == "cucim" and "JPEG" in info.reader_reason
    with pytest.raises(SlideError, match="openslide, cucim, tifffile, array"):
        open_slide(jpeg, reader="vips")
    photo = tmp_path / "p.png"
    photo.write_bytes(b"x")
    with pytest.raises(SlideError, match="tiled TIFF only"):
        open_slide(photo, reader="cucim")


def test_cucim_is_not_loaded_after_torch(jpeg, monkeypatch):
    monkeypatch.setitem(sys.modules, "torch", sys)
    monkeypatch.delitem(sys.modules, "cucim", raising=False)
    info = open_slide(jpeg, in_process=True).info
    assert info.reader == "tifffile" and "torch" in info.reader_reason
    with pytest.raises(SlideError, match="torch"):
        open_slide(jpeg, reader="cucim", in_process=True)
    assert open_slide(jpeg).info.reader == "cucim"  # the decoding process has no torch
