"""BACH part A (ICIAR 2018): 400 breast photos of four classes, 2048 x 1536 at 0.42 um/px."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.fetch.listing import RemoteFile, zenodo
from bench.datasets.known.committed import read_committed
from bench.errors import UsageError
from bench.text_files import read_rows

CLASSES = ("Normal", "Benign", "InSitu", "Invasive")
RECORD, ARCHIVE = 3632035, "ICIAR2018_BACH_Challenge.zip"
URL = f"https://zenodo.org/records/{RECORD}"
CITATION = (
    "Aresta G. et al., BACH: Grand challenge on breast cancer histology images, Medical Image Analysis 56 (2019) "
    "122-139, doi:10.1016/j.media.2019.05.010"
)


class Bach(DatasetSource):
    """Photos of `microscopy_ground_truth.csv` (no header: file,class), as tiled pyramids."""

    card = Card(
        name="bach",
        title="BACH breast histology photos",
        version="Zenodo 3632035 (2018)",
        url=URL,
        licence="CC BY-NC-ND 4.0",
        citation=CITATION,
        classes=CLASSES,
        counts={name: 100 for name in CLASSES},
        size_bytes=10_400_000_000,
        mpp=0.42,
        metric="accuracy",
        note="the archive holds the slides of bach-wsi too; patients are known for 145 of the 400 photos",
    )
    markers = ("ICIAR2018_BACH_Challenge/Photos/microscopy_ground_truth.csv",)
    tasks = {
        "": "the public 132 photos are the test part, the public 50 validate, 218 train",
        "train-val": "the public 132 photos are the test part, the other 268 train (a fifth of them validates)",
        "folds": "five stratified folds of all 400 photos, grouped by patient where known",
    }
    photos = True

    def read(self, root: Path, task: str) -> Dataset:
        """Read the photos whose file exists. The others are problems of this copy."""
        table = root / self.markers[0]
        lists = read_committed("bach")
        held_out, tuning = set(lists["held_out"]), set(lists["tuning"])
        records: list[SlideRecord] = []
        problems: dict[str, str] = {}
        for row in read_rows(table, columns=("file", "class")):
            name, label = Path(row["file"]).stem, row["class"]
            if (row["file"], label) == ("file", "class"):
                continue  # a copy that was given a header
            if label not in CLASSES:
                raise UsageError(f"{table}: {row['file']}: class {label!r}; allowed: {', '.join(CLASSES)}")
            path = table.parent / label / row["file"]
            if not path.is_file():
                problems[name] = _why_missing(table.parent, label, row["file"])
                continue
            split = "test" if name in held_out else "val" if name in tuning and task == "" else "train"
            patient = lists["patients"].get(name)
            records.append(
                SlideRecord(
                    str(path),
                    label,
                    patient=patient,
                    split=None if task == "folds" else split,
                    mpp=self.card.mpp,
                    name=name,
                )
            )
        classes = tuple(c for c in CLASSES if any(r.label == c for r in records))
        return Dataset(self.named(task), classes, tuple(records), card=self.card, problems=problems)

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List the archive of the labelled part, as in the Zenodo record."""
        return zenodo(RECORD, (ARCHIVE,), endpoint)


def _why_missing(photos: Path, label: str, file: str) -> str:
    elsewhere = [c for c in CLASSES if (photos / c / file).is_file()]
    if elsewhere:
        return f"the table says {label}, the file lies in {elsewhere[0]}"
    return "file missing"
