"""BACH part B (ICIAR 2018): whole slides with region annotations (Aperio ImageScope XML)."""

from __future__ import annotations

import hashlib
from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.evidence import kinds_of
from bench.datasets.fetch.listing import RemoteFile, zenodo
from bench.datasets.known.bach import ARCHIVE, CITATION, RECORD, URL
from bench.datasets.known.committed import read_committed

GRAVITY = ("normal", "benign", "in situ", "invasive")
FOLDS = 5


class BachWsi(DatasetSource):
    """Slides that come with an xml. The label is the gravest annotated class, or "normal" without any."""

    card = Card(
        name="bach-wsi",
        title="BACH breast whole slides",
        version="Zenodo 3632035 (2018)",
        url=URL,
        licence="CC BY-NC-ND 4.0",
        citation=CITATION,
        classes=GRAVITY,
        counts={},
        size_bytes=10_400_000_000,
        mpp=None,
        metric="share of patches in annotated regions",
        note="10 annotated slides (A01-A10): a check of where strategies look, too few for an accuracy",
        ordered=True,
    )
    markers = ("ICIAR2018_BACH_Challenge/WSI/*.svs",)
    tasks = {"": "the gravest annotated class of the slide"}
    folder_name = "bach"

    def read(self, root: Path, task: str) -> Dataset:
        """Read the annotated slides. Those without xml are left out with the reason."""
        folds = read_committed("bach")["wsi_folds"]
        records: list[SlideRecord] = []
        left_out: dict[str, str] = {}
        for path in sorted((root / self.markers[0]).parent.glob("*.svs")):
            name, xml = path.stem, path.with_suffix(".xml")
            if not xml.is_file():
                left_out[name] = "no xml: not annotated"
                continue
            kinds = kinds_of(str(xml), "bach")
            label = max((k for k in kinds if k in GRAVITY), key=GRAVITY.index, default="normal")
            fold = folds.get(name, _fold_of(name))
            records.append(SlideRecord(str(path), label, fold=fold, mask=str(xml), name=name, scheme="bach"))
        classes = tuple(c for c in GRAVITY if any(r.label == c for r in records))
        return Dataset(self.named(task), classes, tuple(records), left_out, self.card)

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List the archive of the labelled part, which `bach` uses too."""
        return zenodo(RECORD, (ARCHIVE,), endpoint)


def _fold_of(name: str) -> int:
    """Choose the fold of a slide that is not in the committed list, from its id alone."""
    return int(hashlib.sha256(name.encode()).hexdigest(), 16) % FOLDS
