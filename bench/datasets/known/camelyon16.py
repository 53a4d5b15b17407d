"""CAMELYON16: lymph node slides with and without metastases, lesions outlined (ASAP XML)."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.fetch.listing import RemoteFile, s3_bucket
from bench.datasets.known.committed import read_committed
from bench.text_files import read_rows

CLASSES = ("normal", "tumor")
BUCKET = "https://camelyon-dataset.s3.us-west-2.amazonaws.com"


class Camelyon16(DatasetSource):
    """Both layouts: `training/`, `testing/` of the challenge, and `images/`, `annotations/` of the public bucket."""

    card = Card(
        name="camelyon16",
        title="CAMELYON16 lymph node metastases",
        version="2016, public bucket camelyon-dataset",
        url="https://registry.opendata.aws/camelyon/",
        licence="CC0 1.0",
        citation="Ehteshami Bejnordi B. et al., Diagnostic assessment of deep learning algorithms for detection of "
        "lymph node metastases in women with breast cancer, JAMA 318 (2017) 2199-2210, doi:10.1001/jama.2017.14585",
        classes=CLASSES,
        counts={},
        size_bytes=700_000_000_000,
        mpp=0.25,
        metric="AUC",
        note="official test set; the public 54 training slides of PatchCamelyon validate",
    )
    markers = ("training/normal", "training/tumor", "images/normal_*.tif", "images/tumor_*.tif")
    tasks = {"": "tumor in the slide or not"}

    def read(self, root: Path, task: str) -> Dataset:
        """Read all slides, except known bad ones and test slides without a reference label."""
        lists = read_committed("camelyon16")
        val, no_mask = set(lists["val"]), lists["no_mask"]
        reference = reference_labels(root)
        records: list[SlideRecord] = []
        left_out: dict[str, str] = {}
        problems: dict[str, str] = {}
        for path in slide_files(root):
            name = path.stem
            label = reference.get(name) if name.startswith("test_") else name.split("_")[0]
            if name in lists["left_out"]:
                left_out[name] = lists["left_out"][name]
            elif label not in CLASSES:
                problems[name] = "no label in reference.csv"
            else:
                split = "test" if name.startswith("test_") else "val" if name in val else "train"
                mask = annotation(root, name) if label == "tumor" and name not in no_mask else None
                records.append(SlideRecord(str(path), label, split=split, mask=mask, name=name, scheme="camelyon16"))
        classes = tuple(c for c in CLASSES if any(r.label == c for r in records))
        return Dataset(self.named(task), classes, tuple(records), left_out, self.card, problems)

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List slides, annotations and reference labels of the public bucket, with its own checksums."""
        return s3_bucket(BUCKET, "CAMELYON16/", ("images/", "annotations/", "evaluation/reference.csv"), endpoint)


def slide_files(root: Path) -> list[Path]:
    """List normal_*, tumor_* and test_* of either layout, by name."""
    folders = ("training/normal", "training/tumor", "testing/images", "images")
    found = [
        p for folder in folders for kind in ("normal", "tumor", "test") for p in (root / folder).glob(f"{kind}_*.tif")
    ]
    return sorted(found, key=lambda p: p.stem)


def reference_labels(root: Path) -> dict[str, str]:
    """Read reference.csv: test slide -> "normal" or "tumor". It has no header, and ids with or without .tif."""
    for place in ("testing/reference.csv", "evaluation/reference.csv", "reference.csv"):
        if (root / place).is_file():
            rows = read_rows(root / place, columns=("id", "label", "type", "size"))
            return {row["id"].removesuffix(".tif"): row["label"].lower() for row in rows}
    return {}


def annotation(root: Path, name: str) -> str:
    """Find where the xml of a tumor slide is or should be: in an unpacked folder, or in the zip as distributed."""
    part = "testing" if name.startswith("test_") else "training"
    folders = (root / part / "lesion_annotations", root / "annotations")
    for folder in folders:
        if (folder / f"{name}.xml").is_file():
            return str(folder / f"{name}.xml")
    packed = root / part / "lesion_annotations.zip"
    return str((packed if packed.is_file() else folders[(root / "images").is_dir()]) / f"{name}.xml")
