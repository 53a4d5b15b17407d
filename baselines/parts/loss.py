"""The loss of training, the same for every strategy."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.functional import cross_entropy

from baselines.contract import Outcome


def training_loss(outcomes: Sequence[Outcome], labels: Sequence[int], device: torch.device) -> tuple[Tensor, Tensor]:
    """What a training step minimises.

    Args:
        outcomes: one a slide, with logits [n_classes].
        labels: the class of each slide, 0 to n_classes - 1.
        device: of the logits.

    Returns:
        The mean cross-entropy over the slides, and the same with the mean of the penalties of those outcomes that have
        one (`Outcome.penalty_of`). Both are scalars.
    """
    entropy = cross_entropy(torch.stack([o.logits for o in outcomes]), torch.tensor(labels, device=device))
    added = [o.penalty_of(label) for o, label in zip(outcomes, labels, strict=True)]
    penalties = [penalty for penalty in added if penalty is not None]
    return entropy, entropy + torch.stack(penalties).mean() if penalties else entropy
