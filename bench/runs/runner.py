"""A whole run: every (fold, seed, strategy) of one dataset; skips what is complete, keeps what is done."""

from __future__ import annotations

import sys
from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import torch

from baselines import STRATEGIES
from baselines.contract import Strategy, StrategySettings
from bench.datasets import Dataset, SlideRecord
from bench.datasets.evidence.shares import evidence_for, need_annotation
from bench.datasets.inspect.verify.quick import quick, refuse
from bench.errors import UsageError, listed
from bench.own_code import source_of
from bench.runs.checkpoint import NOTHING, Checkpoint
from bench.runs.failing import enough, unseen
from bench.runs.feature_scale import Calibration, calibrate
from bench.runs.infer import Contestant
from bench.runs.kept.code_digest import code_digest
from bench.runs.kept.directory import RunDirectory
from bench.runs.kept.identity import RunKey, defaults_of, plain, set_for_one
from bench.runs.layout import CHECKPOINT, CURVE, TRAIN, WEIGHTS
from bench.runs.observed.energy import meter_of
from bench.runs.settings.settings import RunSettings
from bench.runs.settings.strategies import one_of_each, strategy_class
from bench.runs.train import Labelled, Trained, classes_of, settings_record, train
from bench.runs.work import Result, Work, to_stderr
from jsma.encoders.encoder import Encoder, build_encoder
from jsma.meter import Meter
from jsma.metered import Desk, MeteredSlide, ViewSettings
from jsma.metered.store import FeatureStore
from jsma.networks.feature_scale import FeatureScale
from jsma.slides import Slide, open_slide

Report = Callable[[str, int, int], None]  # (what, done, total)
RESUMED = "training was broken off and gone on with: the joules before that are not known"
SHARED = "features are shared by a store and charged in seconds: joules of training need --set features=fresh"


@dataclass(frozen=True)
class Plan:
    """What to run. fold numbers run from 0; n_folds is how many parts the data are cut into; wait_s: how long to wait
    for runs that other processes are making, None: until they are done.
    """

    strategies: tuple[str, ...]
    seeds: tuple[int, ...]
    folds: tuple[int, ...] = (0,)
    n_folds: int = 5
    wait_s: float | None = None


def scale_from(state: dict[str, torch.Tensor] | None, device: torch.device) -> FeatureScale | None:
    """The scale that was saved, or None where there was none."""
    if state is None:
        return None
    scale = FeatureScale(*state["mean"].shape).to(device)
    scale.load_state_dict(state)
    return scale


class Runner:
    """Runs a plan on a dataset. Opening a slide, the feature store and the reports are shared by all runs."""

    def __init__(
        self, dataset: Dataset, settings: RunSettings, out: Path, report: Report, accept_findings: bool = False
    ):
        self.accept_findings = accept_findings
        self.dataset, self.settings, self.out, self.report = dataset, settings, out, report
        self.stores: dict[str, FeatureStore] = {}  # by the encoder's fingerprint
        self.calibrations: dict[tuple[str, str], Calibration] = {}
        self.failed: dict[str, str] = {}
        self.unopened: set[str] = set()  # of these, what no run can use; the others fail where a strategy needs them
        self.findings: list[str] = []  # what was found wrong with the data and accepted, for the record
        self.say: Callable[[str], None] = to_stderr

    def open_record(self, record: SlideRecord) -> Slide:
        """Open the slide of `record` with its own mpp, if it gives one."""
        return open_slide(record.path, mpp=record.mpp)

    def _verify_options(self, folds: tuple[int, ...]) -> str:
        """The options with which `data verify` looks at what this run asks for; "" where its defaults do."""
        mpps, usual = self.settings.view.mpps, ViewSettings().mpps
        asked = "" if mpps == usual else f" --mpps {','.join(f'{mpp:g}' for mpp in mpps)}"
        return asked + (f" --folds {len(folds)}" if len(folds) > 1 else "")

    def check(self, folds: tuple[int, ...] = (0,)) -> None:
        """Check the data as `data verify` does, but for pixels, opening every slide once.

        Slides that cannot be opened are listed as failed and left out; FindingsError where other findings were not
        accepted. Magnifications that slides lack are told on stderr.
        """
        lacking: Counter[float] = Counter()

        def opened(record: SlideRecord) -> Slide:
            slide = self.open_record(record)
            read = self.settings.view.read_at(slide.info.mpp)
            lacking.update(mpp for mpp in self.settings.view.mpps if mpp not in read)
            return slide

        def told(done: int, total: int) -> None:
            self.report("checking slides", done, total)

        found = quick(self.dataset, self.settings.view.mpps, folds, told, opened)
        self.failed.update(found.unread)
        self.unopened = set(found.unread)
        if self.dataset.records and len(found.unread) == len(self.dataset.records):
            raise UsageError(f"no slide can be read; {listed(self.failed)}")
        if not self.accept_findings:
            refuse(self.dataset.name, found.stopping, self._verify_options(folds))
        self.findings = [str(finding) for finding in found.findings if finding.slide not in found.unread]
        if lacking:
            parts = ", ".join(f"{mpp:g} um/px on {number}" for mpp, number in sorted(lacking.items()))
            print(
                f"note: magnifications finer than the slide itself are not read: {parts} of "
                f"{len(self.dataset.records)} slides (mpps)",
                file=sys.stderr,
            )

    def run(self, plan: Plan) -> Result:
        """Train and infer everything that is not complete yet."""
        one_of_each(plan.strategies)
        code_digest()  # kept from now on: files may be edited before the last run is recorded
        need_annotation(map(strategy_class, plan.strategies), self.dataset.name, self.dataset.records)
        return Work(self, plan).run()

    def directory(self, name: str, fold: int, seed: int, plan: Plan) -> RunDirectory:
        """Where the run of one strategy, fold and seed of `plan` lies."""
        return RunDirectory(self.out, self._key(name, fold, seed, plan))

    def _key(self, name: str, fold: int, seed: int, plan: Plan) -> RunKey:
        """A run is decided by the settings in force for its strategy, not by those that others have."""
        cls, base, own = strategy_class(name), asdict(self.settings), asdict(self.settings.of(name))
        shared = {"n_folds": plan.n_folds, "split": self.dataset.split_digest(fold, plan.n_folds)}
        settings = {**own, "tuned": set_for_one(own, base), **shared}
        usual = {**asdict(RunSettings()), "n_folds": Plan.n_folds}
        code = "" if name in STRATEGIES else source_of(cls)  # another version of one's own is another run
        return RunKey(
            self.dataset.name,
            self.dataset.fingerprint,
            cls.name,
            fold,
            seed,
            plain(settings),
            code,
            defaults_of(settings, usual),
        )

    def parts(self, fold: int, n_folds: int) -> dict[str, list[SlideRecord]]:
        """The readable slides of "train", "val" and "test"; UsageError where a part has none."""
        parts = self.dataset.split(fold, n_folds)
        parts = {part: [r for r in records if r.id not in self.unopened] for part, records in parts.items()}
        for part, records in parts.items():
            if not records:
                raise UsageError(
                    f"dataset {self.dataset.name}: no readable slide in the {part} part of fold {fold}; add slides or "
                    "change the split" + (f"; {listed(self.failed)}" if self.failed else "")
                )
        return parts

    def trained(self, name: str, directory: RunDirectory, parts: dict[str, list[SlideRecord]], seed: int) -> Contestant:
        """The strategy called `name`, trained, or as its unfinished run in `directory` holds it."""
        cls, device = strategy_class(name), torch.device(self.settings.device)
        begun, checkpoint = directory.read_json(TRAIN), self.checkpoint(directory)
        if begun is not None and begun.get("code") == code_digest() and directory.read(WEIGHTS) is not None:
            self.failed.update(begun.get("dropped", {}))
            checkpoint.remove()  # a kill came before it was
            return self.restored(name, directory.partial / WEIGHTS, seed)
        encoder = build_encoder(self.settings.encoder, seed).to(device)
        energy = meter_of(self.settings.device)
        energy.start()
        trained, counters, scale = self.train(name, encoder, parts, seed, checkpoint)
        shared = None if self._store(encoder) is None else SHARED
        shared = RESUMED if trained.resumed_s else shared
        kept = {"counters": counters, "n_train": len(parts["train"]), "uses_evidence": cls.uses_evidence}
        kept["told"] = cls.told()
        kept["dropped"] = trained.dropped
        kept["code"] = code_digest()  # a training that was broken off is gone on with by the same code only
        kept["energy"] = energy.record(energy.stop(), shared)
        directory.write_json(TRAIN, {**settings_record(trained), **kept})
        directory.write_table(CURVE, trained.curve)
        candidate = cls.candidates(self.settings.of(name).strategy).index(trained.settings)
        state = {
            "strategy": trained.strategy.state_dict(),
            "encoder": encoder.state_dict(),
            "candidate": candidate,
            "scale": None if scale is None else scale.state_dict(),
        }
        directory.write_with(WEIGHTS, lambda handle: torch.save(state, handle))
        checkpoint.remove()
        return Contestant(trained.strategy, encoder, [], scale)

    def checkpoint(self, directory: RunDirectory) -> Checkpoint:
        """Of the training in `directory`; the same code, build of torch and device go on with it, nothing else."""
        made_by = {"run": directory.key.name, "code": code_digest(), "torch": torch.__version__}
        return Checkpoint(directory.partial / CHECKPOINT, {**made_by, "device": self.settings.device})

    def restored(self, name: str, weights: Path, seed: int) -> Contestant:
        """The strategy called `name` as a run of these settings saved it in the file `weights`.

        UsageError where the weights are not those of the strategy as it is now.
        """
        cls, device = strategy_class(name), torch.device(self.settings.device)
        encoder = build_encoder(self.settings.encoder, seed).to(device)
        state = torch.load(weights, weights_only=True, map_location=device)
        chosen = cls.candidates(self.settings.of(name).strategy)[state["candidate"]]
        strategy = cls(chosen, encoder.dim, len(self.dataset.classes), Meter()).to(device)
        try:
            strategy.load_state_dict(state["strategy"])
            encoder.load_state_dict(state["encoder"])
        except RuntimeError as error:
            reason = " ".join(str(error).split())[:200]
            raise UsageError(
                f"{weights}: the weights of another version of {name} ({reason}); remove that folder, and the run is "
                "made anew, or give another --out"
            ) from error
        return Contestant(strategy, encoder, [], scale_from(state["scale"], device))

    def train(
        self,
        name: str,
        encoder: Encoder,
        parts: dict[str, list[SlideRecord]],
        seed: int,
        checkpoint: Checkpoint = NOTHING,
    ) -> tuple[Trained, dict[str, int], FeatureScale | None]:
        """Train the strategy called `name` on the slides of parts "train" and "val"; its counters; the scale used.

        It goes on from what `checkpoint` holds.
        """
        cls, settings = strategy_class(name), self.settings.of(name)
        calibration = self.calibration(encoder, parts["train"])
        scale = None if calibration is None else calibration.scale
        device = torch.device(self.settings.device)
        desk = Desk(Meter(), encoder, self.settings.view, self._store(encoder), scale, device)
        if calibration is not None:
            calibration.charge(desk.meter)
        opened = {
            part: [
                Labelled(
                    MeteredSlide(r.id, lambda r=r: self.open_record(r), desk, evidence_of=evidence_for(cls, r)),
                    self.dataset.classes.index(r.label),
                )
                for r in parts[part]
            ]
            for part in ("train", "val")
        }

        def build(settings: StrategySettings, meter: Meter) -> Strategy:
            try:
                return cls(settings, encoder.dim, len(self.dataset.classes), meter)
            except ValueError as error:  # settings that this strategy cannot work with
                raise UsageError(str(error)) from error

        gone = {item.slide.id: why for items in opened.values() for item in items if (why := unseen(item.slide))}
        self.failed.update(gone)
        for part, called in (("train", "training"), ("val", "validation")):
            enough(called, classes_of(opened[part]), gone)
            opened[part] = [item for item in opened[part] if item.slide.id not in gone]
        trained = train(
            build,
            cls.candidates(settings.strategy),
            opened,
            desk,
            settings.train,
            seed,
            lambda done, total: self.report(f"seed {seed}: training {name}", done, total),
            checkpoint,
        )
        for item in opened["train"] + opened["val"]:
            item.slide.close()
        trained.dropped.update(gone)
        self.failed.update(trained.dropped)
        return trained, asdict(desk.meter.total()), scale

    def _store(self, encoder: Encoder) -> FeatureStore | None:
        """One store for all runs of a frozen encoder; none where it is trained or features are to be fresh."""
        if self.settings.train.features == "fresh" or not self.settings.encoder.frozen:
            return None
        return self.stores.setdefault(encoder.fingerprint, FeatureStore(encoder.dim))

    def calibration(self, encoder: Encoder, records: list[SlideRecord]) -> Calibration | None:
        """The scale of the features of these training slides, measured once for all strategies."""
        if not self.settings.train.standardise:
            return None
        key = (encoder.fingerprint, "|".join(record.id for record in records))
        if key not in self.calibrations:
            device = torch.device(self.settings.device)
            self.calibrations[key] = calibrate(encoder, records, self.open_record, self.settings.view, device)
        return self.calibrations[key]
