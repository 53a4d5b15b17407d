"""Adaptive JSMA: look, read a few, keep the attention away from what was read, stop when certain or out of budget."""

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
from jsma.draws.certainty import Sharpness, best_sharpness
from jsma.meter import Meter
from jsma.metered import MeteredSlide


class Adaptive(Joint):
    """Trained as one look of jsma; at test it reads in rounds, each from an attention that knows what was read before.

    Our own. Rounds of `first_look`, then `next_look` patches. Round r draws without replacement from a_r over the cells
    not read yet, and estimates Phi_r = sum_i a_r,i f_i over all: exact over the cells read before, by the estimator
    over the others. The prediction is the head's on the mean of the estimates, weighted by their patches.
    log a_r,i = log a_0,i + sum over read q of i's magnification of (telling w_q - spread) exp(-|x_i - x_q|^2 / 2), x in
    sides of a cell: where it read it reads less, unless that told much. w_q is how far patch q alone moves the logits,
    centred on the mean over those read and in units of it. With both at 0 all rounds together are one look of Des Raj,
    draw for draw. It stops once the highest class probability reaches `confidence`, with the logits as sharp as fits
    those of all rounds on the validation slides best: the less so the fewer patches they are of
    (`jsma.draws.certainty`).
    Unbiased: each Phi_r, given the rounds before. Not unbiased: a mean of what rounds that stopped early would have
    seen. Training in rounds and learning `telling` was worse (docs/strategies.md).
    The attention it reports is the mean of the rounds' own, weighted by their patches.
    """

    name = "adaptive"
    source = "our own; one look: Zhang et al., CVPR-W 2021 (reconstruction)"
    tuned_as = "jsma"
    stops_early = True
    spread, telling = 0.5, 0.3  # by four trainings on slides of another seed (docs/strategies.md)

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.sharpness: Tensor  # first, last, fewest, most of a `Sharpness`
        self.register_buffer("sharpness", torch.ones(4))

    @property
    def top(self) -> bool:
        """Whether the most probable are taken, in place of a draw."""
        return self.settings.method.sampling == "top"

    def sizes(self) -> list[int]:
        """Patches of each round: all that the budget allows."""
        look, left = self.settings.look, self.settings.method.n_patches
        sizes = [min(look.first_look, left)]
        while sum(sizes) < left:
            sizes.append(min(look.next_look, left - sum(sizes)))
        return sizes

    def draw(self, log_a: Tensor, n: int, generator: Generator, grid: CellGrid | None = None) -> Draw:
        """The cells of one round; grid as in `JSMA.draw`."""
        if self.top:
            return top_n(log_a, n)
        return sampler_of(self.settings.method.estimator, grid)(log_a, n, generator)

    def update(self, log_a0: Tensor, near: Tensor, tissue: Tensor, seen: Seen) -> Tensor:
        """log a [K] of the next round, over read and unread cells.

        log_a0: [K] of the first; near: [K, n] of every cell to those read, 0..1; tissue: bool [K].
        """
        moved = near @ (self.telling * worth(self.model, seen).to(log_a0) - self.spread)
        return masked_log_probs(log_a0.masked_fill(~tissue, 0.0) + moved, tissue, self.settings.method.smoothing_eps)

    def pooled(self, log_a: Tensor, rest: Tensor, draw: Draw, fresh: Tensor, seen: Seen) -> Tensor:
        """Phi_r [M, d] of a round: log_a [K]; rest: the same over the unread cells, of sum 1; fresh: drawn features."""
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
        """Whether it may stop, after so many patches."""
        confidence = self.settings.look.confidence
        if self.purpose != "test" or confidence == 1:
            return False
        factor = Sharpness(*self.sharpness.tolist()).at(patches)
        return float((logits * factor).softmax(0).max()) >= confidence

    def calibrate(self, outcomes: Sequence[Outcome], labels: Tensor) -> None:
        """See `Strategy`; over the logits of all rounds, by the patches they are of."""
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
