"""What a request means: `all` strategies are those that the data allow."""

from pathlib import Path

import pytest

from baselines import STRATEGIES
from bench.datasets import Dataset, SlideRecord
from bench.runs.plan import Request, expand_all
from bench.runs.settings.strategies import strategy_class

OWN = str(Path(__file__).parents[2] / "baselines" / "mine.py") + ":Mine"


def data(*records):
    return Dataset("x", ("a", "b"), records)


def test_all_means_every_one_that_the_data_allow_each_once(tmp_path):
    (tmp_path / "a.geojson").write_text("{}")
    plain, annotated = SlideRecord("s.tif", "a"), SlideRecord("t.tif", "a", mask=str(tmp_path / "a.geojson"))
    generated = SlideRecord("t.tif", "a", mask=annotated.mask, sites=annotated.mask)
    assert expand_all(("all",), data(generated)) == tuple(STRATEGIES)
    assert set(STRATEGIES) - set(expand_all(("all",), data(plain, annotated))) == {"candidates"}
    blind = tuple(n for n in STRATEGIES if not strategy_class(n).uses_evidence)
    assert expand_all(("all",), data(plain)) == blind and set(STRATEGIES) - set(blind) == {"oracle", "candidates"}
    assert expand_all(("random", "all", OWN, "random"), data(plain)) == (
        "random",
        *(n for n in blind if n != "random"),
        OWN,
    )
    assert expand_all(("oracle", "jsma"), data(plain)) == ("oracle", "jsma")  # asked for by name: `run` says why not


def test_a_request_names_every_field():
    with pytest.raises(TypeError):
        Request("demo")  # pyright: ignore
