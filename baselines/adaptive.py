"""Adaptive JSMA: look, read a few, move the attention by what was seen, stop when certain or out of budget."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Generator, Tensor, nn

from baselines.contract import Outcome, Strategy, StrategySettings
from baselines.rounds import Places, Seen, worth
from baselines.weighted import classify, magnification_of
from jsma import JSMA, Draw, estimate, masked_log_probs, sampler_of, top_n
from jsma.certainty import best_temperature
from jsma.grid import CellGrid
from jsma.meter import Meter
from jsma.metered import MeteredSlide

GAIN = 5.0  # Adam moves a lone number by its rate a step: so g can get to about 1 in a training


class Adaptive(Strategy):
    """Rounds of `first_look`, then `next_look` patches, each from an attention that knows what was read before.

    Our own. Round r draws without replacement from a_r over the cells not read yet, and estimates
    Phi_r = sum_i a_r,i f_i over all: exact over the cells read before, by the estimator over the others. The prediction
    is the head's on the mean of the estimates, weighted by their patches.
    log a_r,i = log a_0,i + sum over read q of i's magnification of (g w_q - spread) exp(-|x_i - x_q|^2 / (2 s^2)):
    where it read it reads less, unless that told much. s is the side of a cell; w_q is how far patch q alone moves the
    logits, centred on the mean over those read and in units of it. g starts at 0 and is learnt; spread is fixed, since
    what it saves is variance, which no gradient of a mean shows. With both at 0 all rounds together are one look of
    Des Raj, draw for draw. More to learn (layers from what was pooled to shifts of log a) overfit a hundred slides.
    In training and where weights are chosen every round is taken. At test it stops once the highest class probability
    reaches `confidence`, at the temperature that fits the logits of all rounds on the validation slides best.
    Unbiased: each Phi_r and its gradients to a_r and f, given the rounds before. Not unbiased: the gradient that an
    earlier draw would have through what it makes later rounds do (it is left out), and a mean of what rounds that
    stopped early would have seen.
    The attention it reports is the mean of the rounds' own, weighted by their patches.
    """

    name = "adaptive"
    source = "our own; one look: Zhang et al., CVPR-W 2021 (reconstruction)"
    stops_early = True
    spread = 0.5  # on validation slides of one training better than 0, 1 and 2

    def __init__(self, settings: StrategySettings, feature_dim: int, n_classes: int, meter: Meter):
        super().__init__(settings, feature_dim, n_classes, meter)
        self.model = JSMA(settings.method, feature_dim, n_classes)
        self.gain = nn.Parameter(torch.zeros(()))  # g / GAIN
        self.temperature: Tensor
        self.register_buffer("temperature", torch.ones(()))

    def set_progress(self, share: float) -> None:
        """See `Strategy`."""
        self.model.set_progress(share)

    @property
    def top(self) -> bool:
        """Whether the most probable are taken, in place of a draw."""
        return not self.training and self.settings.method.sampling == "top"

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
        moved = near @ (GAIN * self.gain * worth(self.model, seen).to(log_a0) - self.spread)
        return masked_log_probs(log_a0.masked_fill(~tissue, 0.0) + moved, tissue, self.settings.method.smoothing_eps)

    def pooled(self, log_a: Tensor, rest: Tensor, draw: Draw, fresh: Tensor, seen: Seen) -> Tensor:
        """Phi_r [M, d] of a round: log_a [K]; rest: the same over the unread cells, of sum 1; fresh: drawn features."""
        name, own, n = self.settings.method.estimator, draw.indices, self.model.n_magnifications
        found = estimate("truncated" if self.top else name, rest[own].exp(), fresh, log_threshold=draw.log_threshold,
                         groups=seen.group[own], n_groups=n)  # fmt: skip
        if not len(seen.cells):
            return found
        known = log_a[seen.cells].exp()
        exact = torch.zeros_like(found).index_add(0, seen.group[seen.cells], known[:, None] * seen.features)
        return exact + found * (1 - known.sum())

    def certain(self, logits: Tensor) -> bool:
        """Whether it may stop."""
        confidence = self.settings.look.confidence
        if self.training or not self.may_stop or confidence == 1:
            return False
        return float((logits.detach() / self.temperature).softmax(0).max()) >= confidence

    def calibrate(self, outcomes: Sequence[Outcome], labels: Tensor) -> None:
        """See `Strategy`; Guo et al., ICML 2017, eq. 9, over the logits of all rounds alike."""
        said = [o.rounds for o in outcomes if o.rounds is not None]
        truth = labels.repeat_interleave(torch.tensor([len(rows) for rows in said], device=labels.device))
        self.temperature.fill_(best_temperature(torch.cat(said), truth))

    def forward(self, slides: Sequence[MeteredSlide], generator: Generator) -> list[Outcome]:
        """See `Strategy`."""
        return [self._one(slide, generator) for slide in slides]

    def _one(self, slide: MeteredSlide, generator: Generator) -> Outcome:
        with self.meter.stage("attention"):
            overview = slide.overview()[None]
            tissue, pools = slide.view.mask.to(overview.device), slide.view.pools
            rest = log_a = log_a0 = self.model.attend(overview, pools, tissue[None])[0]
            group = magnification_of(slide, torch.arange(len(tissue), device=tissue.device))
        sizes, free = [part.stop - part.start for part in slide.view.grid.slices], tissue
        nothing = log_a0.new_zeros(0, self.model.pooled_dim)
        seen = Seen(group, group[:0], nothing, log_a0.new_zeros(()), torch.zeros_like(log_a0).detach())
        places, near = Places.of(slide.view.grid, group, log_a0.detach()), []
        drawn_from: list[Tensor] = []
        said: list[Tensor] = []
        for size in self.sizes():
            if not bool(free.any()):
                break
            if len(seen.cells):
                with self.meter.stage("attention"):
                    log_a = self.update(log_a0, torch.cat(near, 1), tissue, seen)
                    rest = log_a.masked_fill(~free, -torch.inf).log_softmax(0)
            with self.meter.stage("sample"):
                draw = self.draw(rest, size, generator, slide.view.grid)
                own = draw.indices
            fresh = self.model.adapted(slide.features(own), group[own]).to(log_a)
            with self.meter.stage("aggregate"):
                seen = seen.after(own, fresh, self.pooled(log_a, rest, draw, fresh, seen), log_a.exp())
                free = free.index_fill(0, own, False)
                near.append(places.near(own))
                drawn_from.append(log_a)
                said.append(classify(self.model, seen.phi))
            if self.certain(said[-1]):
                break
        share = seen.attention.new_zeros(self.model.n_magnifications).index_add(0, group, seen.attention)
        penalty = self.model.regulariser(torch.stack(drawn_from), sizes).mean()
        return Outcome(said[-1], penalty, seen.cells, share, seen.attention, rounds=torch.stack(said).detach())
