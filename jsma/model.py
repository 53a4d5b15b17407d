"""JSMA: attention over (magnification, row, column), a few patches drawn from it, and a head on their estimate."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

import numpy as np
import torch
from pydantic import Field
from torch import Tensor, nn

from jsma.cells.grid import CellGrid
from jsma.checked import Count, Mpps, Units, Weight, checked, choice, in_order
from jsma.draws.estimators import ESTIMATORS, estimate
from jsma.draws.sampling import Draw, entropy, masked_log_probs, sampler_of, top_n
from jsma.networks.adapter import Adapter
from jsma.networks.attention import AttentionNet, Pool, pools_of


@checked
class JSMASettings:
    """A reconstruction after Zhang et al., CVPRW 2021 (abstract only): every value here is our choice.

    n_patches: N patches drawn per slide, >= 1. mpps: micrometres per patch
    pixel, one per magnification. estimator: a name of `ESTIMATORS`; "with-replacement" and "systematic" also change
    the draw (`sampler_of`). entropy_weight: lambda >= 0, multiplies H(a) / log K in 0..1 (scaled because H grows
    with log K; Katharopoulos & Fleuret, ICML 2019, use H unscaled). smoothing_eps: share in [0, 1) of a that is
    uniform, as theirs (1e-4). factorised: p(m) p(x|m) instead of one joint softmax. balance_magnifications: p(m) =
    1/M at the start whatever the numbers of cells. magnification_entropy_weight: lambda_m >= 0, multiplies H(p(m))
    / log M in 0..1 and is annealed to 0 (`set_progress`): it keeps every magnification read until the head has
    learnt what each is good for, where p(m) would collapse early. adapter_dim: units of a trained layer with ReLU
    on each patch's feature, one layer per magnification, before pooling (0 = none); Phi stays unbiased, for the
    layer sees one patch at a time. pool: "concat" keeps one pooled vector per magnification, "sum" adds them.
    sampling: at test, "sample" (random predictions) or "top" (deterministic, biased). width: channels of the
    attention network. hidden: units of an optional hidden layer of the head, 0 = linear.
    """

    n_patches: Count = 32
    mpps: Mpps = (0.5, 1.0, 2.0, 4.0)
    estimator: str = "des-raj"
    entropy_weight: Weight = 0.3
    smoothing_eps: Annotated[float, Field(ge=0, le=0.999)] = 1e-4
    factorised: bool = False
    balance_magnifications: bool = True
    magnification_entropy_weight: Weight = 0.1
    adapter_dim: Annotated[int, Field(ge=0, le=8192)] = 32
    pool: Literal["concat", "sum"] = "concat"
    sampling: Literal["sample", "top"] = "sample"
    width: Units = 16
    hidden: Annotated[int, Field(ge=0, le=8192)] = 0

    def __post_init__(self) -> None:
        choice("estimator", self.estimator, ESTIMATORS)
        in_order(self.mpps)


@dataclass(frozen=True)
class SlideOutput:
    """What `JSMA.forward` says of one slide.

    Attributes:
        logits: [C], one per class.
        log_a: Log attention [K] over the cells.
        draw: The cells that were read.
        p_m: Share of the attention of each magnification, [M], sums to 1.
    """

    logits: Tensor
    log_a: Tensor
    draw: Draw
    p_m: Tensor


class JSMA(nn.Module):
    """The method as separate steps (attend, draw, classify, regulariser), for anybody's training loop.

    Args:
        settings: The options of the method.
        feature_dim: Width of the encoder's features.
        n_classes: Number of classes C.
    """

    def __init__(self, settings: JSMASettings, feature_dim: int, n_classes: int) -> None:
        super().__init__()
        self.settings = settings
        self.feature_dim = feature_dim
        self.n_magnifications = len(settings.mpps)
        self.annealed = 1.0  # share of the magnification entropy weight that is in force
        self.attention = AttentionNet(self.n_magnifications, settings.width)
        self.adapted = Adapter(feature_dim, settings.adapter_dim, self.n_magnifications)
        self.pooled_dim = self.adapted.dim
        inputs = self.pooled_dim * (self.n_magnifications if settings.pool == "concat" else 1)
        self.head: nn.Module = nn.Linear(inputs, n_classes)
        if settings.hidden:
            self.head = nn.Sequential(
                nn.Linear(inputs, settings.hidden), nn.ReLU(), nn.Linear(settings.hidden, n_classes)
            )

    def set_progress(self, share: float) -> None:
        """Take note of the share of training that is done, 0..1: lambda_m falls linearly to 0 at half of it."""
        self.annealed = max(0.0, 1.0 - 2.0 * share)

    def attend(self, overviews: Tensor, pools: Sequence[Pool], masks: Tensor | None = None) -> Tensor:
        """Compute the attention over the cells of slides of one geometry.

        Args:
            overviews: RGB, float [b, 3, h, w] in 0..1.
            pools: Per magnification (Wy [rows, h], Wx [columns, w]), as `pools_of` gives them.
            masks: Bool [b, K], True for a cell that may be drawn; None allows all.

        Returns:
            log a [b, K], -inf for the cells that may not be drawn.
        """
        per_m = self.attention(overviews, pools)
        sizes = [z.shape[1] for z in per_m]
        logits = torch.cat(per_m, dim=1)
        logits = logits if logits.dtype == torch.float64 else logits.float()
        if masks is None:
            masks = torch.ones_like(logits, dtype=torch.bool)
        if not self.settings.balance_magnifications and not self.settings.factorised:
            return masked_log_probs(logits, masks, self.settings.smoothing_eps)
        return masked_log_probs(self._balanced(logits, masks, sizes), masks, self.settings.smoothing_eps)

    def _balanced(self, logits: Tensor, masks: Tensor, sizes: list[int]) -> Tensor:
        """Shift logits [b, K] so that p(m) = 1/M at the start, or factorise them into p(m) p(x|m).

        sizes: cells per magnification.
        """
        counts = torch.stack([part.sum(-1) for part in masks.split(sizes, -1)], -1)  # [b, M]
        log_count = counts.clamp_min(1).to(logits).log()
        prior = -log_count if self.settings.balance_magnifications else torch.zeros_like(log_count)
        repeats = torch.tensor(sizes, device=logits.device)
        if not self.settings.factorised:
            return logits + prior.repeat_interleave(repeats, -1)
        kept = logits.masked_fill(~masks, -1e30).split(sizes, -1)  # finite: an empty magnification has no NaN
        within = torch.cat([torch.log_softmax(part, -1) for part in kept], -1)
        total = torch.stack([part.sum(-1) for part in (logits * masks).split(sizes, -1)], -1)
        # the mean over allowed cells: independent of how the cells share p(x|m)
        scores = (total / counts.clamp_min(1) + prior + log_count).masked_fill(counts == 0, -1e30)
        return within + torch.log_softmax(scores, -1).repeat_interleave(repeats, -1)

    def draw(self, log_a: Tensor, generator: torch.Generator | None = None, grid: CellGrid | None = None) -> list[Draw]:
        """Draw the cells to read; in evaluation mode `settings.sampling` decides how.

        Args:
            log_a: Log attention [b, K].
            generator: The randomness.
            grid: Of the K cells, so that systematic draws are spread over the slide (`sampler_of`).

        Returns:
            One draw per slide, of `settings.n_patches` cells, or fewer where fewer may be drawn.
        """
        n = self.settings.n_patches
        if self._top:
            return [top_n(row, n) for row in log_a]
        sample = sampler_of(self.settings.estimator, grid)
        if bool((torch.isfinite(log_a).sum(-1) < n).any()):  # some slides hold fewer cells: each its own cap
            return [sample(row, n, generator) for row in log_a]
        together = sample(log_a, n, generator)
        return [Draw(i, t) for i, t in zip(together.indices, together.log_threshold, strict=True)]

    @property
    def _top(self) -> bool:
        return not self.training and self.settings.sampling == "top"

    def classify(
        self,
        log_a_drawn: Tensor,
        features: Tensor,
        magnification: Tensor,
        log_threshold: Tensor | None = None,
    ) -> Tensor:
        """Estimate the expectation of the features from the cells that were drawn, and apply the head.

        Args:
            log_a_drawn: Log attention of the drawn cells [..., N], in the order of the draw.
            features: Their encoder features [..., N, feature_dim].
            magnification: Index of their magnification, long [..., N].
            log_threshold: `Draw.log_threshold` [...], read by the Horvitz-Thompson and systematic estimators only.

        Returns:
            Logits [..., C].
        """
        phi = estimate(
            "truncated" if self._top else self.settings.estimator,
            log_a_drawn.exp(),
            self.adapted(features, magnification).to(log_a_drawn.dtype),
            log_threshold=log_threshold,
            groups=magnification,
            n_groups=self.n_magnifications,
        )
        return self.classify_pooled(phi)

    def classify_pooled(self, phi: Tensor) -> Tensor:
        """Apply the head.

        Args:
            phi: Sums of adapted features, kept apart per magnification, [..., M, d].

        Returns:
            Logits [..., C].
        """
        pooled = phi.flatten(-2) if self.settings.pool == "concat" else phi.sum(-2)
        # the weights of a sum add up to 1 and features have norm 1: the scale brings the coordinates near 1
        return self.head(pooled * math.sqrt(self.pooled_dim))

    def regulariser(self, log_a: Tensor, sizes: Sequence[int] | None = None) -> Tensor:
        """Compute the term that is added to the loss: -lambda H(a) / log K - lambda_m H(p(m)) / log M.

        Args:
            log_a: Log attention [..., K]. K counts the cells with mass.
            sizes: Cells per magnification. Without them, or with one magnification, the second term is left out.

        Returns:
            The term [...], at most 0.
        """
        cells = torch.isfinite(log_a).sum(-1).clamp_min(2)
        penalty = -self.settings.entropy_weight * entropy(log_a) / cells.log()
        weight = self.settings.magnification_entropy_weight * self.annealed
        if sizes is None or self.n_magnifications < 2 or not weight:
            return penalty
        h_m = torch.special.entr(self.p_m(log_a, sizes)).sum(-1)
        return penalty - weight * h_m / math.log(self.n_magnifications)

    def p_m(self, log_a: Tensor, sizes: Sequence[int]) -> Tensor:
        """Sum the attention of log_a [..., K] per magnification, [..., M]; sizes: cells per magnification."""
        return torch.stack([part.exp().sum(-1) for part in log_a.split(list(sizes), dim=-1)], dim=-1)

    def forward(
        self,
        overview: Tensor,
        grid: CellGrid,
        read_patches: Callable[[np.ndarray], np.ndarray],
        encoder: Callable[[Tensor], Tensor],
        *,
        mask: Tensor | None = None,
        generator: torch.Generator | None = None,
    ) -> SlideOutput:
        """Classify one slide, start to end, with any source of pixels.

        Args:
            overview: RGB, float [3, h, w] in 0..1.
            grid: The K cells of the slide.
            read_patches: Flat cell indices, int64 [n] -> pixels, uint8 [n, P, P, 3].
            encoder: Pixels -> features [n, feature_dim].
            mask: Bool [K], True for a cell that may be drawn; None allows all.
            generator: The randomness.
        """
        pools = pools_of(grid, (overview.shape[1], overview.shape[2]), overview.device)
        log_a = self.attend(overview[None], pools, None if mask is None else mask[None])
        draw = self.draw(log_a, generator, grid)[0]
        cells = draw.indices.cpu().numpy()
        features = encoder(torch.from_numpy(read_patches(cells)).to(overview.device))
        magnification = torch.from_numpy(grid.decode(cells)[0]).to(overview.device)
        row = log_a[0]
        logits = self.classify(row[draw.indices], features, magnification, draw.log_threshold)
        sizes = [rows * cols for rows, cols in grid.shapes]
        return SlideOutput(logits, row, draw, self.p_m(row.detach(), sizes))
