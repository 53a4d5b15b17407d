"""Needle mosaics that `jsma-bench data mosaic` made of a user's own photos."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource
from bench.datasets.generated.mosaic.folder import LABELS, STAMP
from bench.datasets.labelled import load as load_csv
from bench.errors import UsageError


class Mosaic(DatasetSource):
    """`mosaic:FOLDER` is a folder of mosaics; `mosaic` is `<data>/mosaic`, or the data folder itself."""

    card = Card(
        name="mosaic",
        title="Needle mosaics of your own labelled photos",
        version="made by jsma-bench",
        url="docs/mosaics.md",
        licence="that of the photos",
        citation="that of the photos",
        classes=("negative", "a class for each label of --positive"),
        counts={},
        size_bytes=0,
        mpp=None,
        metric="accuracy",
        note="mosaic:FOLDER names the folder; evidence: the needles; intervals are clustered by their photo or patient",
    )
    markers = (STAMP,)

    def task_named(self, task: str) -> str:
        """Any folder is a task. `find` says where it holds no mosaics."""
        return task

    def named(self, task: str) -> str:
        """Name of the dataset in runs, with the name of its folder."""
        return f"mosaic-{Path(task).resolve().name}" if task else "mosaic"

    def find(self, folder: Path, task: str = "") -> Path:
        """The folder of the mosaics: `task`, where it is given. UsageError where it holds none."""
        if not task:
            return super().find(folder)
        if not (Path(task) / STAMP).is_file():
            raise UsageError(f"dataset mosaic:{task}: there is no {STAMP} in it; {self._remedy(Path(task))}")
        return Path(task)

    def read(self, root: Path, task: str) -> Dataset:
        """The mosaics of `root`. Class `negative` comes first, then needles as `--positive` named them."""
        if not (root / LABELS).is_file():
            raise UsageError(f"dataset mosaic: {LABELS} is missing in {root}; run the same `data mosaic` once more")
        records = load_csv(root / LABELS).records
        return Dataset(self.named(task), tuple(dict.fromkeys(r.label for r in records)), records, card=self.card)

    def missing(self, folder: Path) -> str:
        """See `DatasetSource`; nothing is fetched."""
        return f"dataset mosaic: there is no {STAMP} in {self.folder(folder)}; {self._remedy(self.folder(folder))}"

    def _remedy(self, folder: Path) -> str:
        return (
            "make mosaics of your own photos with: jsma-bench data mosaic labels.csv --positive A --negative B "
            f"--to {folder}"
        )
