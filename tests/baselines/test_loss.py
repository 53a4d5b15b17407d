"""The loss of training by hand: cross-entropy, and the penalties of those that have one."""

import torch

from baselines.contract import Outcome
from baselines.parts.loss import training_loss

CPU = torch.device("cpu")


def outcome(logits, **rest):
    return Outcome(torch.tensor(logits, dtype=torch.float64), **rest)


def by_hand(logits, label):
    return -torch.log_softmax(torch.tensor(logits, dtype=torch.float64), 0)[label]


def test_penalties_are_averaged_over_those_that_have_one():
    told = [[1.0, 3.0], [0.5, -2.0], [2.0, 2.0]]
    each = torch.tensor([0.25, 0.75], dtype=torch.float64)
    outcomes = [
        outcome(told[0]),
        outcome(told[1], penalty=torch.tensor(0.5, dtype=torch.float64)),
        outcome(told[2], label_penalty=each),
    ]
    entropy, loss = training_loss(outcomes, [0, 1, 1], CPU)
    expected = sum(by_hand(logits, label) for logits, label in zip(told, (0, 1, 1), strict=True)) / 3
    assert torch.isclose(entropy, expected) and torch.isclose(loss, expected + (0.5 + 0.75) / 2)


def test_without_penalties_both_are_the_cross_entropy():
    entropy, loss = training_loss([outcome([1.0, 3.0])], [1], CPU)
    assert torch.isclose(entropy, by_hand([1.0, 3.0], 1)) and torch.equal(entropy, loss)
