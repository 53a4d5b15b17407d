"""Slides of a GDC project: the open-access manifest, and the clinical table that their labels come from."""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import requests

from bench.datasets.fetch.listing import RemoteFile, ask
from bench.errors import UsageError
from bench.text_files import read_rows, require

GDC = "https://api.gdc.cancer.gov"
MANIFEST = ("id", "filename", "md5", "size")
CLINICAL = (
    "primary_gleason_grade",
    "secondary_gleason_grade",
    "tissue_or_organ_of_origin",
    "classification_of_tumor",
)
MOST = 100_000  # more than any project holds: one answer, no pages


def gdc_files(project: str, folder: Path, endpoint: str | None = None) -> list[RemoteFile]:
    """List clinical.tsv and the diagnostic slides of a GDC project.

    Args:
        project: Its id, such as TCGA-PRAD.
        folder: A `gdc_manifest*.txt` in it chooses the slides. Without one all open slides are listed.
        endpoint: Server in place of the GDC's.

    Returns:
        The files. Slides lie as `<id>/<filename>`, as the GDC's own client stores them.

    Raises:
        UsageError: the server does not answer, or the manifest is none.
    """
    base = (endpoint or GDC).rstrip("/")
    own = sorted(folder.glob("gdc_manifest*.txt"))
    rows = read_rows(own[-1], "\t") if own else _manifest(base, project)
    require(own[-1] if own else Path(f"{base}/files"), rows, MANIFEST)
    clinical = RemoteFile(f"{base}/cases", "clinical.tsv", None, None, content=_clinical(base, project))
    try:
        slides = [
            RemoteFile(f"{base}/data/{r['id']}", f"{r['id']}/{r['filename']}", int(r["size"]), f"md5:{r['md5']}")
            for r in rows
        ]
    except ValueError as error:
        raise UsageError(f"{own[-1] if own else base}: not a GDC manifest ({error})") from error
    return [clinical, *slides]


def _is(field: str, value: str) -> dict[str, Any]:
    return {"op": "in", "content": {"field": field, "value": [value]}}


def _manifest(base: str, project: str) -> list[dict[str, str]]:
    filters = [
        _is("cases.project.project_id", project),
        _is("files.data_type", "Slide Image"),
        _is("files.experimental_strategy", "Diagnostic Slide"),
        _is("files.access", "open"),
    ]
    body = {"filters": {"op": "and", "content": filters}, "return_type": "manifest", "size": MOST}
    text = ask(f"{base}/files", json=body).text
    return [dict(row) for row in csv.DictReader(io.StringIO(text), delimiter="\t")]


def _clinical(base: str, project: str) -> str:
    """The cases' diagnoses in the layout of the portal's clinical.tsv, one row a diagnosis."""
    fields = ["submitter_id", *(f"diagnoses.{name}" for name in CLINICAL)]
    body = {
        "filters": _is("project.project_id", project),
        "fields": ",".join(fields),
        "format": "JSON",
        "size": MOST,
    }
    out = io.StringIO()
    writer = csv.writer(out, delimiter="\t", lineterminator="\n")
    writer.writerow(["cases.submitter_id", *(f"diagnoses.{name}" for name in CLINICAL)])
    try:
        for case in ask(f"{base}/cases", json=body).json()["data"]["hits"]:
            for diagnosis in case.get("diagnoses") or [{}]:
                writer.writerow([case["submitter_id"], *(diagnosis.get(name) or "'--" for name in CLINICAL)])
    except (KeyError, TypeError, requests.JSONDecodeError) as error:
        raise UsageError(f"{base}/cases: not an answer of the GDC ({type(error).__name__}: {error})") from error
    return out.getvalue()
