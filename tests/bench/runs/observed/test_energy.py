"""Joules from counters that are files and objects here: wrap-around, absence, failure."""

from types import SimpleNamespace

import pytest

from bench.runs.observed.energy import EnergyMeter, nvml_counters, rapl_counters

NO_NVML = {"load": lambda name: (_ for _ in ()).throw(ImportError(name))}


@pytest.fixture
def powercap(tmp_path):
    """Two packages, a domain inside the first, and a controller without counter."""
    for folder, name, joules in (
        ("intel-rapl:0", "package-0", 5),
        ("intel-rapl:1", "package-1", 90),
        ("intel-rapl:0:0", "core", 3),
        ("intel-rapl:2", "psys", 1),
    ):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "name").write_text(name + "\n")
        (tmp_path / folder / "max_energy_range_uj").write_text("100000000\n")
        (tmp_path / folder / "energy_uj").write_text(f"{joules * 10**6}\n")
    (tmp_path / "intel-rapl").mkdir()
    return tmp_path


def turn(powercap, package, joules):
    (powercap / f"intel-rapl:{package}" / "energy_uj").write_text(f"{joules * 10**6}\n")


def test_packages_are_summed_and_wrap_around(powercap):
    meter = EnergyMeter("cpu", powercap, **NO_NVML)
    assert meter.source == "RAPL package-0 + RAPL package-1"
    meter.start()
    turn(powercap, 0, 12)
    turn(powercap, 1, 3)  # from 90 over 100 to 3
    turn(powercap, "0:0", 50)  # inside the package: counted there
    assert meter.stop() == pytest.approx(7 + 13)
    assert meter.record(20.0) == {"joules": 20.0, "source": meter.source, "reason": None}


def test_a_counter_that_fell_without_a_known_range_gives_no_joules(powercap):
    nvml = Nvml()
    meter = EnergyMeter("cuda:0", powercap, load=lambda name: nvml)
    meter.start()
    nvml.millijoules = -5000  # a driver that was loaded anew counts from 0
    assert meter.stop() is None


def test_without_a_counter_there_are_no_joules_but_a_reason(tmp_path):
    meter = EnergyMeter("cpu", tmp_path, **NO_NVML)
    meter.start()
    assert meter.stop() is None and meter.source is None
    assert meter.record(None) == {"joules": None, "source": None, "reason": "no readable RAPL counter"}


def test_an_unreadable_counter_is_left_out(powercap):
    (powercap / "intel-rapl:1" / "energy_uj").write_text("not a number")
    assert [counter.source for counter in rapl_counters(powercap)] == ["RAPL package-0"]


def test_a_counter_that_fails_later_gives_no_joules(powercap):
    meter = EnergyMeter("cpu", powercap, **NO_NVML)
    meter.start()
    (powercap / "intel-rapl:0" / "energy_uj").unlink()
    assert meter.stop() is None and "a counter failed (FileNotFoundError)" in str(meter.record(None)["reason"])


class Nvml:
    """As pynvml, with millijoules that rise by 2500 at every reading."""

    def __init__(self, fails=False):
        self.millijoules, self.asked, self.fails = 0, None, fails

    def nvmlInit(self):
        if self.fails:
            raise RuntimeError("driver not loaded")

    def nvmlDeviceGetHandleByIndex(self, index):
        self.asked = index
        return SimpleNamespace()

    def nvmlDeviceGetTotalEnergyConsumption(self, handle):
        self.millijoules += 2500
        return self.millijoules


def test_a_gpu_and_its_host_are_summed(powercap):
    nvml = Nvml()
    meter = EnergyMeter("cuda:1", powercap, load=lambda name: nvml)
    assert meter.source == "RAPL package-0 + RAPL package-1 + NVML" and nvml.asked == 1
    meter.start()
    turn(powercap, 0, 6)
    assert meter.stop() == pytest.approx(1 + 2.5)


def test_work_on_a_gpu_without_its_counter_is_not_measured(powercap):
    for load in (NO_NVML["load"], lambda name: Nvml(fails=True)):
        assert nvml_counters("cuda", load) == []
        meter = EnergyMeter("cuda", powercap, load=load)  # the processor's joules alone would be too few
        meter.start()
        assert meter.stop() is None and "no NVML counter" in str(meter.reason)
    assert nvml_counters("cpu", lambda name: Nvml()) == []
