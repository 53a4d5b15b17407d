"""CLAM with a single attention branch: gated attention, and a loss on its most and least attended patches."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torchmil.nn import AttentionPool

from baselines.contract import Outcome, StrategySettings
from baselines.parts.whole_bag import OneMagnification, Pooled, pad_bags
from jsma.checked import Count, Weight, checked
from jsma.meter import Meter


def smooth_svm(scores: Tensor, label: int) -> Tensor:
    """Compute the mean smooth top-1 SVM loss of scores [n, 2] for one label: log sum_j exp(1[j != y] + s_j - s_y).

    Berrada et al., ICLR 2018, with margin and temperature 1. torchmil's SmoothTop1SVM is not used: its CLAM hands over
    targets [n, 1], with which it broadcasts to [n, n, 2] and takes the maximum over the wrong axis.
    """
    margin = torch.ones_like(scores)
    margin[:, label] = 0
    return torch.logsumexp(scores + margin - scores[:, label : label + 1], dim=1).mean()


@checked
class CLAMOptions:
    """Options of clam.

    Attributes:
        clam_top: Patches with the highest and the lowest attention that the instance loss takes. As published: 8.
        clam_weight: Weight of that loss against the cross-entropy. As published: .3 / .7.
    """

    clam_top: Count = 8
    clam_weight: Weight = 3 / 7


class CLAMAll(Pooled):
    """All tissue patches at all magnifications; the gated pool of exhaustive-all, and an instance loss in training.

    Lu et al., Nature Biomedical Engineering 2021, CLAM-SB for classes that exclude each other. The classifier of the
    slide's class learns the B most attended patches as 1 and the B least attended as 0. Those of the other classes
    learn the B most attended as 0. The mean over classes and magnifications, times `clam_weight`, is the penalty for
    that label. B is at most half of the bag, so that no patch is both. The attention chooses the patches and gets no
    gradient from this loss; the trained layer gets one. The pool is that of torchmil. The loss is our own, because
    torchmil's CLAM knows two classes only, and its loss ignores the mask, so that padding may be chosen.
    """

    name = "clam-all"
    source = "Lu et al., Nature Biomedical Engineering 5, 2021, arXiv 2004.09666"
    options_class = CLAMOptions
    options: CLAMOptions

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.instances = nn.ModuleList(
            nn.ModuleList(nn.Linear(self.dim, 2) for _ in range(n_classes)) for _ in self.pool_mpps()
        )

    def make_pool(self) -> nn.Module:
        """See `Pooled`."""
        return AttentionPool(in_dim=self.dim, att_dim=self.settings.attention_dim, gated=True)

    def classify(self, bags: list[list[Tensor]]) -> list[Outcome]:
        """See `WholeBag`."""
        pooled, scores = [], []
        for k, pool in enumerate(self.pools):
            z, attention = pool(*pad_bags([own[k] for own in bags]), return_att=True)
            pooled.append(z)
            scores.append(attention)
        outcomes = [Outcome(row) for row in self.head(torch.cat(pooled, dim=1))]
        if self.training:
            for i, (outcome, own) in enumerate(zip(outcomes, bags, strict=True)):
                each = [self.instance_loss(bag, scores[k][i, : len(bag)], k) for k, bag in enumerate(own)]
                outcome.label_penalty = self.options.clam_weight * torch.stack(each).mean(0)
        return outcomes

    def instance_loss(self, bag: Tensor, attention: Tensor, k: int) -> Tensor:
        """Compute the instance loss of one bag.

        Args:
            bag: Patches [n, dim].
            attention: Their attention [n], on any scale.
            k: Index of the pool.

        Returns:
            The loss for each label that the slide may have, [n_classes].
        """
        top = min(self.options.clam_top, len(bag) // 2)
        if top == 0:
            return bag.new_zeros(self.n_classes)
        order = attention.detach().argsort(descending=True)
        high, low = bag[order[:top]], bag[order[-top:]]
        inside, outside = [], []
        for classifier in self.instances[k]:  # pyright: ignore[reportGeneralTypeIssues]
            most, least = classifier(high), classifier(low)
            inside.append((smooth_svm(most, 1) + smooth_svm(least, 0)) / 2)
            outside.append(smooth_svm(most, 0))
        own, other = torch.stack(inside), torch.stack(outside)
        return (own + other.sum() - other) / self.n_classes


class CLAM(OneMagnification, CLAMAll):
    """The same at the one magnification `settings.mpp` (Lu et al., Nature Biomedical Engineering 2021)."""

    name = "clam"
