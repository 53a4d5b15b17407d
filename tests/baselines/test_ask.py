"""How a strategy is asked: for what, and whose meter its own stages go through. It is as before afterwards."""

import numpy as np
import pytest
import tifffile
import torch
from torch import nn

from baselines.contract import Outcome, Strategy, StrategySettings, ask
from jsma.encoders.encoder import EncoderSettings, build_encoder
from jsma.errors import ContractError
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.slides import open_slide


class Noting(Strategy):
    """Notes what it is asked for; of this test."""

    name, source = "noting", "this test"

    def __init__(self, *arguments):
        super().__init__(*arguments)
        self.bias, self.asked = nn.Parameter(torch.zeros(self.n_classes)), []

    def forward(self, slides, generator):
        with self.meter.stage("aggregate"):
            self.asked.append(self.purpose)
            return [Outcome(self.bias * 1) for _ in slides]


class Broken(Noting):
    """Raises; of this test."""

    def forward(self, slides, generator):
        raise KeyError("nothing there")


@pytest.fixture
def slide(tmp_path):
    path = tmp_path / "a.tif"
    tifffile.imwrite(path, np.zeros((64, 64, 3), np.uint8), photometric="rgb")
    encoder = build_encoder(EncoderSettings("test_resnet", pretrained=None), seed=0)
    return MeteredSlide("a", lambda: open_slide(str(path)), Desk(Meter(), encoder, ViewSettings()))


def test_a_strategy_is_told_what_it_is_asked_for_and_uses_the_meter_of_the_slides(slide):
    own = Meter()
    strategy = Noting(StrategySettings(), 4, 2, own)
    ask(strategy, [slide], torch.Generator(), "calibrate")
    ask(strategy, [slide], torch.Generator())
    assert strategy.asked == ["calibrate", "test"]
    assert slide.meter.seconds()["aggregate"] > 0 and own.seconds()["aggregate"] == 0
    assert strategy.purpose == "test" and strategy.meter is own


def test_a_strategy_that_raises_is_as_before(slide):
    own = Meter()
    strategy = Broken(StrategySettings(), 4, 2, own)
    with pytest.raises(ContractError, match="nothing there"):
        ask(strategy, [slide], torch.Generator(), "choose")
    assert strategy.purpose == "test" and strategy.meter is own
