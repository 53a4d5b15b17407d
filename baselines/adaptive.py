"""Adaptive JSMA: reads in rounds, looks away from what it has read, and stops when it is certain."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor

from baselines.contract import Outcome, StrategySettings
from baselines.jsma import Joint
from baselines.parts.cells import magnification_of
from baselines.parts.rounds import Places, Seen, worth
from jsma import Draw, estimate, masked_log_probs, sampler_of, top_n
from jsma.cells.grid import CellGrid
from jsma.checked import Count, Share, checked
from jsma.draws.certainty import Sharpness, best_sharpness
from jsma.meter import Meter
from jsma.metered import MeteredSlide


@checked
class AdaptiveOptions:
    """Options of adaptive.

    Attributes:
        first_look: Patches of the first round.
        next_look: Patches of every later round.
        confidence: Highest class probability at which it stops, at test only. 1: never.
    """

    first_look: Count = 4
    next_look: Count = 4
    confidence: Share = 0.9


class Adaptive(Joint):
    """Trained as `jsma`; at test it reads in rounds, and the attention of each knows what was read before.

    Our own. The first round reads `first_look` patches, every later one `next_look`. Round r draws without replacement
    from a_r over the cells that are not read yet. It estimates Phi_r = sum_i a_r,i f_i over all cells: exactly over
    those that were read before, by the estimator over the others. The prediction is that of the head on the mean of the
    estimates, weighted by their patches.

    log a_r,i = log a_0,i + sum_q (telling w_q - spread) exp(-|x_i - x_q|^2 / 2), over the cells q of i's magnification
    that were read, with x in sides of a cell. Near what it has read it reads less, unless that told much: w_q is how
    far patch q alone moves the logits, centred on the mean over those read and in units of it. With both factors at 0,
    all rounds together are one look of Des Raj, draw for draw.

    It stops once the highest class probability reaches `confidence`. Logits of fewer patches are less sharp; how sharp,
    the validation slides tell (`jsma.draws.certainty`).

    Each Phi_r is unbiased, given the rounds before. A mean over rounds that stop early is not. Training in rounds, and
    learning `telling`, was worse (docs/strategies.md). The attention that it reports is the mean over the rounds,
    weighted by their patches.
    """

    name = "adaptive"
    source = "our own; one look: Zhang et al., CVPR-W 2021 (reconstruction)"
    options_class = AdaptiveOptions
    options: AdaptiveOptions
    tuned_as = "jsma"
    stops_early = True
    spread, telling = 0.5, 0.3  # by four trainings on slides of another seed (docs/strategies.md)

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.sharpness: Tensor  # first, last, fewest, most of a `Sharpness`
        self.register_buffer("sharpness", torch.ones(4))

    @property
    def top(self) -> bool:
        """Whether the most probable cells are taken and nothing is drawn."""
        return self.settings.method.sampling == "top"

    def sizes(self) -> list[int]:
        """List the patches of each round, which together use the whole budget."""
        options, left = self.options, self.settings.method.n_patches
        sizes = [min(options.first_look, left)]
        while sum(sizes) < left:
            sizes.append(min(options.next_look, left - sum(sizes)))
        return sizes

    def draw(self, log_a: Tensor, n: int, generator: Generator, grid: CellGrid | None = None) -> Draw:
        """Draw n cells of one round from log a [K]; grid as in `JSMA.draw`."""
        if self.top:
            return top_n(log_a, n)
        return sampler_of(self.settings.method.estimator, grid)(log_a, n, generator)

    def update(self, log_a0: Tensor, near: Tensor, tissue: Tensor, seen: Seen) -> Tensor:
        """Compute the attention of the next round over all cells, read or not.

        Args:
            log_a0: Log attention of the first round, [K].
            near: How near every cell is to the n cells that were read, [K, n] in 0..1.
            tissue: Cells that may be drawn, bool [K].
            seen: What the rounds so far have left.

        Returns:
            log a [K].
        """
        moved = near @ (self.telling * worth(self.model, seen).to(log_a0) - self.spread)
        return masked_log_probs(log_a0.masked_fill(~tissue, 0.0) + moved, tissue, self.settings.method.smoothing_eps)

    def pooled(self, log_a: Tensor, rest: Tensor, draw: Draw, fresh: Tensor, seen: Seen) -> Tensor:
        """Estimate Phi_r [M, d] of one round.

        Args:
            log_a: Log attention over all cells, [K].
            rest: The same over the unread cells only, where it sums to 1.
            draw: The n cells of the round.
            fresh: Their adapted features [n, d].
            seen: What the rounds before left.
        """
        name, own = "truncated" if self.top else self.settings.method.estimator, draw.indices
        found = estimate(
            name,
            rest[own].exp(),
            fresh,
            log_threshold=draw.log_threshold,
            groups=seen.group[own],
            n_groups=self.model.n_magnifications,
        )
        if not len(seen.cells):
            return found
        known = log_a[seen.cells].exp()
        exact = torch.zeros_like(found).index_add(0, seen.group[seen.cells], known[:, None] * seen.features)
        return exact + found * (1 - known.sum())

    def certain(self, logits: Tensor, patches: int) -> bool:
        """Tell whether it may stop, with logits [n_classes] after so many patches."""
        confidence = self.options.confidence
        if self.purpose != "test" or confidence == 1:
            return False
        factor = Sharpness(*self.sharpness.tolist()).at(patches)
        return float((logits * factor).softmax(0).max()) >= confidence

    def calibrate(self, outcomes: Sequence[Outcome], labels: Tensor) -> None:
        """See `Strategy`; it fits the sharpness to the logits of all rounds."""
        said = [(o.rounds, len(o.cells)) for o in outcomes if o.rounds is not None and o.cells is not None]
        truth = labels.repeat_interleave(labels.new_tensor([len(rows) for rows, _ in said]))
        read = labels.new_tensor(self.sizes()).cumsum(0)
        patches = torch.cat([read[: len(rows)].clamp_max(n) for rows, n in said])
        found = best_sharpness(torch.cat([rows for rows, _ in said]), truth, patches)
        self.sharpness.copy_(torch.tensor([found.first, found.last, found.fewest, found.most]))

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`; one look in training, and where weights are chosen."""
        if self.training or self.purpose == "choose":
            return super().forward(slides, generator)
        return [self._one(slide, generator) for slide in slides]

    @torch.no_grad()
    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        with self.meter.stage("attention"):
            rest = log_a = log_a0 = self.log_attention([slide])[0]
            free = tissue = self.allowed(slide).to(log_a0.device)
            group = magnification_of(slide, torch.arange(len(tissue), device=tissue.device))
        nothing = log_a0.new_zeros(0, self.model.pooled_dim)
        seen = Seen(group, group[:0], nothing, log_a0.new_zeros(()), torch.zeros_like(log_a0))
        places, near, said = Places.of(slide.view.grid, group, log_a0), log_a0.new_zeros(len(tissue), 0), []
        for size in self.sizes():
            if not bool(free.any()):
                break
            if len(seen.cells):
                with self.meter.stage("attention"):
                    log_a = self.update(log_a0, near, tissue, seen)
                    rest = log_a.masked_fill(~free, -torch.inf).log_softmax(0)
            with self.meter.stage("sample"):
                draw = self.draw(rest, size, generator, slide.view.grid)
                own = draw.indices
            fresh = self.model.adapted(slide.features(own), group[own]).to(log_a)
            with self.meter.stage("aggregate"):
                seen = seen.after(own, fresh, self.pooled(log_a, rest, draw, fresh, seen), log_a.exp())
                free = free.index_fill(0, own, False)
                near = torch.cat([near, places.near(own)], 1)
                said.append(self.model.classify_pooled(seen.phi))
            if self.certain(said[-1], len(seen.cells)):
                break
        share = seen.attention.new_zeros(self.model.n_magnifications).index_add(0, group, seen.attention)
        return Outcome(said[-1], None, seen.cells, share, seen.attention, rounds=torch.stack(said))
