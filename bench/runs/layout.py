"""The layout of a run directory: names of its files and of the columns of its tables. Nothing else spells them out.

The other half is `Provenance`: the record beside results that says what they are and what made them.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

# --- files of a run ---------------------------------------------------------------------------------------
STATUS, SETTINGS, TRAIN, ENVIRONMENT, PREDICTIONS = (
    "status.json",
    "settings.json",
    "train.json",
    "environment.json",
    "predictions.parquet",
)
NEEDED = (SETTINGS, TRAIN, ENVIRONMENT, PREDICTIONS)
"""Every finished run has these, beside STATUS."""
WEIGHTS, CHECKPOINT, FILES = "weights.pt", "training.checkpoint", "files.json"
"""The trained weights; the state of a training, while it runs; the checksums of a run that is not finished."""
CURVE, SNAPSHOTS, SWEEP, SWEPT = "curve.parquet", "looks.npz", "sweep.parquet", "sweep.jsonl"
"""Only some tables and pages need these. SWEPT gets a line for each SWEEP before that is written, so that a sweep is
known when its process is killed in between, or when two processes sweep at the same time."""
COMPLETE = "complete"
PARTIAL, DAMAGED = ".partial", ".damaged"
"""Ends of the names of folders that are no finished runs."""

# --- columns ----------------------------------------------------------------------------------------------
SLIDE, PATIENT, SITE, LABEL, PREDICTED = "slide", "patient", "site", "label", "predicted"
PATCHES, DECODED_PX, COMPRESSED_BYTES = "patches", "decoded_px", "compressed_bytes"
"""Those of the counters (`jsma.meter.Counters`) that tables need by name. Every counter is a column."""
SECONDS, JOULES, AREA0_PX, TISSUE_CELLS, TURN, CACHE = (
    "seconds",
    "joules",
    "area0_px",
    "tissue_cells",
    "turn",
    "cache",
)
"""TURN is the place of a strategy in the random order on this slide, from 0; CACHE the state of the page cache."""
LOOKED = (
    "in_evidence",
    "attention_in_evidence",
    "hit_evidence",
    "attention_slide_edge",
    "attention_tissue_edge",
    "attention_background",
)
"""Where the strategy looked on the slide (`bench.runs.observed.where_looked`)."""
CANDIDATE, EPOCH, RSS_BYTES, TRAIN_LOSS, VAL_LOSS, VAL_ACCURACY, ENTROPY_P_M = (
    "candidate",
    "epoch",
    "rss_bytes",
    "train_loss",
    "val_loss",
    "val_accuracy",
    "entropy_p_m",
)
DATASET, FOLD, SEED, STRATEGY = "dataset", "fold", "seed", "strategy"
MODE, BUDGET, CONFIDENCE, DRAW = "mode", "budget", "confidence", "draw"

Columns = tuple[tuple[str, ...], tuple[str, ...]]
READ_AGAIN: dict[str, Columns] = {
    PREDICTIONS: ((SLIDE, LABEL, PREDICTED), (PATCHES, DECODED_PX, COMPRESSED_BYTES, SECONDS)),
    CURVE: ((), (SECONDS, VAL_ACCURACY)),
    SWEEP: ((MODE, SLIDE, LABEL, PREDICTED), (BUDGET, DRAW)),
}
"""File -> (columns of text, columns of numbers) that every such table has, whatever version wrote it."""
_PROBABILITY, _STAGE, _MAGNIFICATION = "prob_", "_s", "p_m"


def probability_column(class_name: str) -> str:
    """The column with the probability of a class, 0..1."""
    return f"{_PROBABILITY}{class_name}"


def class_of_column(column: str) -> str | None:
    """The class whose probabilities are in `column`; None for another column."""
    return column.removeprefix(_PROBABILITY) if column.startswith(_PROBABILITY) else None


def stage_column(stage: str) -> str:
    """The column with the seconds of a stage (`jsma.meter.STAGES`)."""
    return f"{stage}{_STAGE}"


def is_stage_column(column: str) -> bool:
    """Whether the column holds seconds of a stage."""
    return column.endswith(_STAGE)


def magnification_column(index: int) -> str:
    """The column with the probability of a magnification, by its place in `mpps`."""
    return f"{_MAGNIFICATION}{index}"


def is_magnification_column(column: str) -> bool:
    """Whether the column holds probabilities of a magnification."""
    return column.startswith(_MAGNIFICATION) and column.removeprefix(_MAGNIFICATION).isdigit()


# --- what is written beside results -----------------------------------------------------------------------
Kind = Literal["run", "sweep", "table", "report", "study"]


@dataclass(frozen=True, kw_only=True)
class Provenance:
    """What a file of results is and what made it. One JSON object, written beside the results.

    Attributes:
        kind: What the results are.
        command: The command line that made them.
        data_hashes: Hashes of the data (`Dataset.fingerprint`), each once.
        environments: The machines and versions, as `environment()` gives them, each once.
        settings: The settings that were in force, as plain data, each once.
        runs: Names of the run folders that were read.
        details: What only this kind of file says. Its keys are written beside the fields above.
    """

    kind: Kind
    command: str
    data_hashes: list[str] = field(default_factory=list)
    environments: list[dict[str, Any]] = field(default_factory=list)
    settings: list[dict[str, Any]] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.kind not in get_args(Kind):
            raise ValueError(f"kind is {self.kind!r}; allowed: {', '.join(get_args(Kind))}")
        if twice := sorted(self.details.keys() & asdict(self).keys()):
            raise ValueError(f"details may not be called {', '.join(twice)}: the record has such fields itself")

    def as_json(self) -> str:
        """The record as text, one line at the end."""
        own = {name: value for name, value in vars(self).items() if name != "details"}
        return json.dumps({**own, **self.details}, indent=1, sort_keys=True, default=str) + "\n"


def read_provenance(path: Path) -> Provenance:
    """The record in the file `path`.

    Records of older versions have no `kind`. Only here is it known what each of them looked like.

    Raises:
        OSError: The file cannot be read.
        ValueError: It holds no JSON object, or one that is no such record.
    """
    found: Any = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(found, dict) or not found.keys() & {"command", "asked"}:
        raise ValueError(f"{path.name} is no record of results: it does not say which command made them")
    if "kind" not in found:
        found = _upgraded(found)
    names = Provenance.__dataclass_fields__.keys() - {"details"}
    own = {name: value for name, value in found.items() if name in names}
    return Provenance(**own, details={name: value for name, value in found.items() if name not in names})


def _upgraded(old: dict[str, Any]) -> dict[str, Any]:
    """A record that a version without `kind` wrote, with the fields that it has today."""
    if "runs" in old:
        return {"kind": "report" if "page" in old else "table", **old}
    hashes = [old["data_hash"]] if "data_hash" in old else []
    settings = [old["settings"]] if isinstance(old.get("settings"), dict) else []
    rest = {name: value for name, value in old.items() if name not in ("data_hash", "settings")}
    kind = "sweep" if "sweep" in old else "study"
    return {"kind": kind, "command": "", "data_hashes": hashes, "settings": settings, **rest}
