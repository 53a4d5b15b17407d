"""TCGA-PRAD (GDC): diagnostic slides of prostate cancer, grade groups from the clinical table."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path

from bench.datasets.contract import Card, Dataset, DatasetSource, SlideRecord
from bench.datasets.fetch.gdc import gdc_files
from bench.datasets.fetch.listing import RemoteFile
from bench.errors import UsageError
from bench.text_files import read_rows, require

SLIDE = re.compile(r"^(?P<case>TCGA-\w{2}-\w{4})-\d{2}[A-Z]-\d{2}-(?P<section>[A-Z]{2})\w*\.")
PATTERN = re.compile(r"^(?:Pattern )?([1-5])$")
GROUPS = tuple(f"grade group {g}" for g in range(1, 6))
BINARY = ("grade group 1-2", "grade group 3-5")
HEADERS = (
    ("cases.submitter_id", "diagnoses."),  # portal since 2024
    ("case_submitter_id", ""),  # before
)


class TcgaPrad(DatasetSource):
    """Diagnostic slides (DX, FFPE). Frozen sections (TS, BS, MS) are left out.

    The patient is the case, and the site is characters 6 and 7 of the id.
    """

    card = Card(
        name="tcga-prad",
        title="TCGA prostate adenocarcinoma",
        version="GDC, project TCGA-PRAD",
        url="https://portal.gdc.cancer.gov/projects/TCGA-PRAD",
        licence="NIH open access (GDC data use agreement)",
        citation="The Cancer Genome Atlas Research Network, The molecular taxonomy of primary prostate cancer, Cell "
        "163 (2015) 1011-1025, doi:10.1016/j.cell.2015.10.025",
        classes=GROUPS,
        counts={},
        size_bytes=250_000_000_000,
        mpp=None,
        metric="AUC",
        note="the label belongs to the case; about 449 diagnostic slides of 403 cases",
        ordered=True,
    )
    markers = ("clinical.tsv",)
    tasks = {"": "grade group 1 to 5 (ISUP 2014)", "binary": "grade group 1-2 against 3-5"}

    def read(self, root: Path, task: str) -> Dataset:
        """Read the slides whose case has one pair of Gleason patterns. The others are left out with the reason."""
        grades = grade_groups(root / "clinical.tsv")
        records: list[SlideRecord] = []
        left_out: dict[str, str] = {}
        problems: dict[str, str] = {}
        for path in slide_files(root):
            match = SLIDE.match(path.name)
            name = path.name.split(".")[0]
            case = match["case"] if match else ""
            if match is None:
                problems[path.name] = "not named like a TCGA slide"
            elif match["section"] != "DX":
                left_out[name] = f"{match['section']}: frozen section, not diagnostic"
            elif not path.is_file():
                problems[name] = "file missing"
            elif case not in grades:
                problems[name] = "case not in clinical.tsv"
            elif isinstance(grade := grades[case], str):
                left_out[name] = grade
            else:
                label = BINARY[grade > 2] if task == "binary" else GROUPS[grade - 1]
                records.append(SlideRecord(str(path), label, patient=case, name=name, site=case[5:7]))
        classes = tuple(c for c in (BINARY if task == "binary" else GROUPS) if any(r.label == c for r in records))
        return Dataset(self.named(task), classes, tuple(records), left_out, self.card, problems)

    def remote(self, folder: Path, endpoint: str | None) -> list[RemoteFile]:
        """List the open diagnostic slides of the GDC's manifest, and the clinical table."""
        return gdc_files("TCGA-PRAD", folder, endpoint)


def slide_files(root: Path) -> list[Path]:
    """List the slides of the sample sheet (`<File ID>/<File Name>`), or every .svs where there is no sheet."""
    sheets = sorted(root.glob("gdc_sample_sheet*.tsv"))
    if not sheets:
        return sorted(root.glob("**/*.svs"), key=lambda p: p.name)
    rows = read_rows(sheets[-1], "\t")  # the dates in the names sort
    require(sheets[-1], rows, ("File ID", "File Name"))
    names = [(row["File ID"], row["File Name"]) for row in rows if row["File Name"].endswith(".svs")]
    paths = [root / uuid / file if (root / uuid).is_dir() else root / file for uuid, file in names]
    return sorted(paths, key=lambda p: p.name)


def grade_groups(table: Path) -> dict[str, int | str]:
    """Read the grade group of every case from the GDC's clinical.tsv, with old or new headers.

    If a case has several diagnoses, those of the prostate gland with both patterns count. If these disagree, those of
    the primary tumour count.

    Args:
        table: The clinical.tsv.

    Returns:
        Case -> grade group 1..5, or the reason why there is none.

    Raises:
        UsageError: the table has no usable columns.
    """
    rows = read_rows(table, "\t")
    columns = list(rows[0]) if rows else []
    found = [(case, prefix) for case, prefix in HEADERS if case in columns]
    if not found:
        raise UsageError(f"{table}: no column {' or '.join(h for h, _ in HEADERS)}; export clinical data from the GDC")
    case_column, prefix = found[0]
    require(table, rows, (f"{prefix}primary_gleason_grade", f"{prefix}secondary_gleason_grade"))
    diagnoses: dict[str, list[tuple[int, bool]]] = defaultdict(list)
    cases: dict[str, bool] = {}
    for row in rows:
        case = row[case_column][:12]
        cases[case] = True
        first, second = (_pattern(row[f"{prefix}{which}_gleason_grade"]) for which in ("primary", "secondary"))
        organ = row.get(f"{prefix}tissue_or_organ_of_origin", "Prostate gland").lower()
        if first and second and ("prostate" in organ or organ in ("", "'--", "--")):
            primary = row.get(f"{prefix}classification_of_tumor", "").lower() == "primary"
            diagnoses[case].append((grade_group(first, second), primary))
    return {case: _common_grade(diagnoses[case]) for case in cases}


def grade_group(primary: int, secondary: int) -> int:
    """Compute the ISUP 2014 grade group 1..5 of two Gleason patterns (Epstein et al., Am J Surg Pathol 2016)."""
    total = primary + secondary
    if total <= 6:
        return 1
    if total == 7:
        return 2 if primary <= 3 else 3
    return 4 if total == 8 else 5


def _pattern(text: str) -> int | None:
    match = PATTERN.match(text)
    return int(match[1]) if match else None


def _common_grade(diagnoses: list[tuple[int, bool]]) -> int | str:
    if not diagnoses:
        return "no prostate diagnosis with both Gleason patterns"
    for some in (diagnoses, [d for d in diagnoses if d[1]]):
        grades = {grade for grade, _ in some}
        if len(grades) == 1:
            return grades.pop()
    return f"{len(diagnoses)} diagnoses disagree on the grade group"
