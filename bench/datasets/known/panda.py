"""PANDA (Kaggle 2020): prostate biopsies with ISUP grades and label masks."""

from __future__ import annotations

from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.fetch.listing import RemoteFile
from bench.datasets.known.committed import read_committed
from bench.errors import UsageError
from bench.text_files import read_rows, require

GRADES = tuple(f"ISUP {g}" for g in range(6))
BINARY = ("ISUP 0-2", "ISUP 3-5")


class Panda(DatasetSource):
    """Biopsies of train.csv. A list of bad biopsies that lies beside it is used; none is committed."""

    card = Card(
        name="panda",
        title="PANDA prostate biopsies",
        version="Kaggle prostate-cancer-grade-assessment (2020)",
        url="https://www.kaggle.com/competitions/prostate-cancer-grade-assessment/data",
        licence="CC BY-NC-SA 4.0 and the competition's rules",
        citation="Bulten W. et al., Artificial intelligence for diagnosis and Gleason grading of prostate cancer: the "
        "PANDA challenge, Nature Medicine 28 (2022) 154-163, doi:10.1038/s41591-021-01620-2",
        classes=GRADES,
        counts={},
        size_bytes=412_000_000_000,
        mpp=None,
        metric="quadratic weighted kappa",
        note="10616 biopsies, 0.45-0.50 um/px; patients are not published, so biopsies of one may fall in two parts",
        ordered=True,
    )
    markers = ("train.csv",)
    tasks = {"": "ISUP grade 0 to 5", "binary": "ISUP 0-2 against 3-5, as for tcga-prad"}

    def read(self, root: Path, task: str) -> Dataset:
        """Read the biopsies whose slide exists and that no list rejects. The others are left out with the reason."""
        table = root / "train.csv"
        rows = read_rows(table)
        require(table, rows, ("image_id", "data_provider", "isup_grade"))
        rejected = {**read_noise_lists(root), **read_committed("panda")["left_out"]}
        records: list[SlideRecord] = []
        left_out: dict[str, str] = {}
        problems: dict[str, str] = {}
        for row in rows:
            name = row["image_id"]
            path = root / "train_images" / f"{name}.tiff"
            if row["isup_grade"] not in tuple("012345"):
                raise UsageError(f"{table}: {name}: isup_grade {row['isup_grade']!r}; allowed: 0 to 5")
            grade = int(row["isup_grade"])
            if name in rejected:
                left_out[name] = rejected[name]
            elif not path.is_file():
                problems[name] = "file missing"
            else:
                records.append(
                    SlideRecord(
                        str(path),
                        BINARY[grade > 2] if task == "binary" else GRADES[grade],
                        mask=str(root / "train_label_masks" / f"{name}_mask.tiff"),
                        name=name,
                        site=row["data_provider"],
                        scheme=f"panda-{row['data_provider']}",
                    )
                )
        classes = tuple(c for c in (BINARY if task == "binary" else GRADES) if any(r.label == c for r in records))
        return Dataset(self.named(task), classes, tuple(records), left_out, self.card, problems)

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List nothing, because Kaggle wants an account. UsageError says what to do."""
        noise_list = read_committed("panda")["noise_list"]["url"]
        raise UsageError(
            f"panda cannot be fetched without a Kaggle account: accept the rules at {self.card.url}, run `kaggle "
            "competitions download -c prostate-cancer-grade-assessment`, and unpack it so that <data>/panda holds "
            f"train.csv, train_images/ and train_label_masks/ (optional: {noise_list} "
            "as train_with_noisy_labels.csv beside them)"
        )


def read_noise_lists(root: Path) -> dict[str, str]:
    """Read the lists of bad biopsies beside train.csv, two public ones whose layout is known.

    Args:
        root: Folder of train.csv.

    Returns:
        Biopsy -> why it is rejected.
    """
    reference = read_committed("panda")
    found: dict[str, str] = {}
    path = root / reference["noise_list"]["file"]
    if path.is_file():
        rows, column = read_rows(path), reference["noise_list"]["column"]
        require(path, rows, ("image_id", column))
        found.update({r["image_id"]: f"noisy label ({path.name})" for r in rows if float(r[column] or 1) == 0})
    for path in sorted(root.glob(reference["suspicious_list"]["file"])):
        rows = read_rows(path)
        require(path, rows, ("image_id", "reason"))
        drop = reference["suspicious_list"]["reasons"]
        found.update({r["image_id"]: f"{r['reason']} ({path.name})" for r in rows if r["reason"] in drop})
    return found
