"""The operations that are measured. One function each: it prepares once, and returns what is run many times.

What is run returns the exact counters of one execution: {name: integer}.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict, dataclass

import numpy as np
import torch
from torch.nn.functional import cross_entropy

from baselines.contract import Strategy
from jsma import JSMA, estimate, sample_without_replacement
from jsma.slides import Regions

from .workload import CLASSES, Workload

Counts = dict[str, int]
Run = Callable[[], Counts]


@dataclass(frozen=True)
class Operation:
    """One thing to measure.

    Attributes:
        prepare: makes what is run.
        executions: how often it is run in one timed sample; the seconds are for one execution.
    """

    prepare: Callable[[Workload], Run]
    executions: int = 1


def _read(work: Workload, regions: Regions) -> Run:
    def run() -> Counts:
        pixels, cost = work.large.read(regions)
        return {"patches": len(pixels), "output_px": int(np.prod(pixels.shape[:3])), **asdict(cost)}

    return run


def read_scattered(work: Workload) -> Run:
    """Patches at random places and magnifications of the large slide, in one call."""
    rng, n = np.random.default_rng(0), work.sizes.scattered
    side0 = work.sizes.large0_px
    mpp = rng.choice(work.view.mpps, n)
    half0 = work.sizes.patch_px * mpp[:, None] / work.large.info.mpp / 2
    centre0 = half0 + rng.random((n, 2)) * (side0 - 2 * half0)
    return _read(work, Regions(centre0, mpp, work.sizes.patch_px, work.sizes.patch_px))


def read_grid(work: Workload) -> Run:
    """Every patch of the finest magnification of the large slide, in one call."""
    side = work.sizes.patch_px
    place0 = np.arange(work.sizes.large0_px // side) * side + side / 2
    centre0 = np.stack(np.meshgrid(place0, place0), -1).reshape(-1, 2)
    return _read(work, Regions(centre0, np.array(work.large.info.mpp), side, side))


def overview(work: Workload) -> Run:
    """Opening the large slide, its overview, tissue mask and grid."""

    def run() -> Counts:
        desk = work.desk()
        slide = work.metered("large", desk)
        slide.close()
        return asdict(desk.meter.total())

    return run


def attend(work: Workload) -> Run:
    """The attention network on overviews of the large slide, to log a over all cells."""
    slide = work.metered("large", work.desk())
    model = _model(work)
    overviews = slide.overview()[None].repeat(4, 1, 1, 1)

    @torch.no_grad()
    def run() -> Counts:
        model.attend(overviews, slide.view.pools)
        return {}

    return run


def _model(work: Workload) -> JSMA:
    torch.manual_seed(0)
    return JSMA(work.method, work.encoder.dim, CLASSES).to(work.device)


def draw(work: Workload) -> Run:
    """Draws without replacement for a batch of slides."""
    log_a, generator, n = work.log_a(work.sizes.drawn_slides), work.generator(), work.sizes.n_patches

    def run() -> Counts:
        drawn = sample_without_replacement(log_a, n, generator)
        return {"patches": drawn.indices.numel()}

    return run


def _drawn(work: Workload) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
    """log a, features and magnification of a batch of draws."""
    shape = (work.sizes.drawn_slides, work.sizes.n_patches)
    log_a = work.log_a(shape[0])[:, : shape[1]]
    features = torch.randn(*shape, work.encoder.dim, generator=torch.Generator().manual_seed(0)).to(work.device)
    magnification = (torch.arange(shape[0] * shape[1]) % len(work.view.mpps)).view(shape).to(work.device)
    return log_a, features, magnification


def estimate_draws(work: Workload) -> Run:
    """The estimator alone, value and gradient, on a batch of draws."""
    log_a, features, magnification = _drawn(work)
    a = log_a.exp().requires_grad_()

    def run() -> Counts:
        phi = estimate("des-raj", a, features, groups=magnification, n_groups=len(work.view.mpps))
        torch.autograd.grad(phi.sum(), a)
        return {"patches": a.numel()}

    return run


def encode(work: Workload) -> Run:
    """Patches through the encoder."""
    side, n = work.sizes.patch_px, work.sizes.encoded
    pixels = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (n, side, side, 3), dtype=np.uint8))
    pixels, flops = pixels.to(work.device), work.desk().flops_per_patch(side, side)

    def run() -> Counts:
        work.encoder(pixels)
        return {"patches": n, "encoder_flops": n * flops}

    return run


def aggregate(work: Workload) -> Run:
    """Features of a batch of draws to class logits: estimator, pooling, head."""
    log_a, features, magnification = _drawn(work)
    model, threshold = _model(work), torch.full((len(log_a),), -9.0, device=work.device)

    @torch.no_grad()
    def run() -> Counts:
        model.classify(log_a, features, magnification, threshold)
        return {"patches": log_a.numel()}

    return run


def _inference(work: Workload, name: str) -> Run:
    strategy = work.strategy(name).eval()

    @torch.no_grad()
    def run() -> Counts:
        desk = work.desk()
        strategy.meter = desk.meter
        slide = work.metered("small0", desk)
        strategy([slide], work.generator())[0].logits.cpu()
        slide.close()
        return asdict(desk.meter.total())

    return run


def infer_jsma(work: Workload) -> Run:
    """One slide, from its file to the class, by the joint sampler."""
    return _inference(work, "jsma")


def infer_exhaustive(work: Workload) -> Run:
    """The same by reading every patch of one magnification."""
    return _inference(work, "exhaustive")


def _step(work: Workload, strategy: Strategy, optimiser: torch.optim.Optimizer) -> Counts:
    desk = work.desk()
    strategy.meter = desk.meter
    slides = [work.metered(f"small{i}", desk) for i in range(2)]
    outcomes = strategy(slides, work.generator())
    labels = torch.arange(len(slides), device=work.device)
    loss = cross_entropy(torch.stack([o.logits for o in outcomes]), labels)
    # as baselines.parts.loss, which revisions before it do not have; no strategy here has a penalty by label
    penalties = [o.penalty for o in outcomes if o.penalty is not None]
    if penalties:
        loss = loss + torch.stack(penalties).mean()
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
    for slide in slides:
        slide.close()
    return asdict(desk.meter.total())


def _training(work: Workload, name: str) -> Run:
    strategy = work.strategy(name).train()
    # a rate of 0: every step does the same work and draws the same cells
    optimiser = torch.optim.Adam(strategy.parameters(), lr=0.0)
    return lambda: _step(work, strategy, optimiser)


def train_jsma(work: Workload) -> Run:
    """One optimisation step on two slides, patches read and encoded afresh."""
    return _training(work, "jsma")


def train_exhaustive(work: Workload) -> Run:
    """The same for the exhaustive strategy."""
    return _training(work, "exhaustive")


OPERATIONS: dict[str, Operation] = {
    "read_scattered": Operation(read_scattered),
    "read_grid": Operation(read_grid),
    "overview": Operation(overview, 2),
    "attend": Operation(attend, 2),
    "draw": Operation(draw, 20),
    "estimate": Operation(estimate_draws, 40),
    "encode": Operation(encode),
    "aggregate": Operation(aggregate, 80),
    "infer_jsma": Operation(infer_jsma),
    "infer_exhaustive": Operation(infer_exhaustive),
    "train_jsma": Operation(train_jsma),
    "train_exhaustive": Operation(train_exhaustive),
}
"""Name -> operation."""

RATIOS: dict[str, tuple[str, str]] = {
    "inference jsma/exhaustive": ("infer_jsma", "infer_exhaustive"),
    "training jsma/exhaustive": ("train_jsma", "train_exhaustive"),
}
"""Name -> (numerator, denominator): seconds of one over seconds of the other, in the same process."""
