"""What is annealed in training."""

from baselines.contract import StrategySettings
from baselines.jsma import Joint
from jsma.meter import Meter


def test_training_tells_the_method_how_far_it_is():
    strategy = Joint(StrategySettings(), 3, 2, Meter())
    assert strategy.model.annealed == 1.0
    strategy.set_progress(0.25)
    assert strategy.model.annealed == 0.5
