"""What a request means: `all` strategies are those that the data allow."""

from pathlib import Path

from baselines import STRATEGIES
from bench.datasets import SlideRecord
from bench.runs.plan import meant
from bench.runs.settings.strategies import strategy_class

OWN = str(Path(__file__).parents[2] / "baselines" / "mine.py") + ":Mine"


class Data:
    def __init__(self, *records):
        self.records = records


def test_all_means_every_one_that_the_data_allow_each_once(tmp_path):
    (tmp_path / "a.geojson").write_text("{}")
    plain, annotated = SlideRecord("s.tif", "a"), SlideRecord("t.tif", "a", mask=str(tmp_path / "a.geojson"))
    generated = SlideRecord("t.tif", "a", mask=annotated.mask, sites=annotated.mask)
    assert meant(("all",), Data(generated)) == tuple(STRATEGIES)
    assert set(STRATEGIES) - set(meant(("all",), Data(plain, annotated))) == {"candidates"}
    blind = tuple(n for n in STRATEGIES if not strategy_class(n).uses_evidence)
    assert meant(("all",), Data(plain)) == blind and set(STRATEGIES) - set(blind) == {"oracle", "candidates"}
    assert meant(("random", "all", OWN, "random"), Data(plain)) == ("random", *(n for n in blind if n != "random"), OWN)
    assert meant(("oracle", "jsma"), Data(plain)) == ("oracle", "jsma")  # asked for by name: `run` says why not
