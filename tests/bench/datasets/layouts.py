"""Small datasets in exactly the published layouts, with the oddities, and the counts written by hand."""

from __future__ import annotations

import csv
import gzip
import zipfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import tifffile

from bench.datasets.generated.mosaic import make_mosaics
from tests.bench.datasets.generated.mosaic.painted import paint_photos, small_settings
from tests.bench.datasets.images import photo, pyramid, svs

# --- BACH: 36 photos, 9 a class: 4 train, 2 validation, 3 test by the public lists -------------------------
BACH_IDS = {
    "Benign": ["b001", "b002", "b060", "b100", "b016", "b025", "b042", "b059", "b061"],
    "InSitu": ["is001", "is002", "is039", "is070", "is011", "is020", "is040", "is055", "is069"],
    "Invasive": ["iv011", "iv059", "iv060", "iv074", "iv001", "iv010", "iv041", "iv058", "iv061"],
    "Normal": ["n001", "n045", "n069", "n100", "n006", "n081", "n046", "n050", "n068"],
}
BACH_COUNTS = {c: {"train": 4, "val": 2, "test": 3} for c in BACH_IDS}


def bach(data: Path) -> Path:
    """Photos: 16-bit, one of two pages, one of 8 bits; a line whose file is missing, one in another folder."""
    photos = data / "bach" / "ICIAR2018_BACH_Challenge" / "Photos"
    lines = []
    for k, (label, names) in enumerate(BACH_IDS.items()):
        for i, name in enumerate(names):
            kind = {"b001": "two pages", "n001": "8 bit"}.get(name, "16 bit")
            photo(photos / label / f"{name}.tif", 100 * k + i, kind)
            lines.append(f"{name}.tif,{label}")
    photo(photos / "Normal" / "b099.tif", 999)
    lines += ["b098.tif,Benign", "b099.tif,Benign"]
    (photos / "microscopy_ground_truth.csv").write_text("\n".join(lines) + "\n")
    return data


# --- BACH-WSI: 10 annotated slides, one without xml ---------------------------------------------------------
BACH_WSI_LABELS = {
    "A01": "invasive",
    "A02": "benign",
    "A03": "invasive",
    "A04": "benign",
    "A05": "invasive",
    "A06": "benign",
    "A07": "invasive",
    "A08": "benign",
    "A09": "in situ",
    "A10": "normal",
}


def aperio_xml(regions: list[tuple[str, list[tuple[int, int]]]], where: str = "Text", hole=None) -> str:
    """ImageScope XML; `where` the label stands: the region's Text, or the annotation's attribute."""
    parts = []
    for k, (label, ring) in enumerate(regions):
        vertices = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in ring)
        text = label if where == "Text" else ""
        value = "" if where == "Text" else label
        negative = ""
        if hole and k == 0:
            ring_text = "".join(f'<Vertex X="{x}" Y="{y}" Z="0"/>' for x, y in hole)
            negative = f'<Region Id="99" Text="" NegativeROA="1"><Vertices>{ring_text}</Vertices></Region>'
        parts.append(
            f'<Annotation Id="{k + 1}" Name="" Visible="1"><Attributes><Attribute Name="Description" Id="0" '
            f'Value="{value}"/></Attributes><Regions><RegionAttributeHeaders/><Region Id="1" Type="0" Text="{text}" '
            f'NegativeROA="0"><Attributes/><Vertices>{vertices}</Vertices></Region>{negative}</Regions></Annotation>'
        )
    return f'<Annotations MicronsPerPixel="0.467">{"".join(parts)}</Annotations>'


SQUARE = [(100, 100), (300, 100), (300, 250), (100, 250)]


def bach_wsi(data: Path) -> Path:
    """Labels in the region's text or the annotation's attribute, in several spellings."""
    wsi = data / "bach" / "ICIAR2018_BACH_Challenge" / "WSI"
    spellings = {"invasive": "Carcinoma invasive", "benign": "Benign", "in situ": "Carcinoma in situ"}
    for k, (name, label) in enumerate(BACH_WSI_LABELS.items()):
        svs(wsi / f"{name}.svs", 500 + k)
        regions = [] if label == "normal" else [(spellings[label], SQUARE)]
        if label == "invasive":
            regions.append(("benign", [(310, 100), (400, 100), (400, 200)]))
        (wsi / f"{name}.xml").write_text(aperio_xml(regions, "Text" if k % 2 else "attribute"))
    svs(wsi / "01.svs", 600)
    for folder in ("thumbnails", "gt_thumbnails"):
        (wsi / folder).mkdir()
    return data


# --- TCGA-PRAD: 20 DX slides of 18 cases ---------------------------------------------------------------------
GLEASON = {1: (3, 3), 2: (3, 4), 3: (4, 3), 4: (4, 4), 5: (4, 5)}
TCGA_GROUPS = {f"TCGA-{'EJ' if k % 2 else 'HC'}-{1000 + k}": 1 + k % 3 for k in range(18)}


def tcga_prad(data: Path, generation: str = "new", sheet: bool = True) -> Path:
    """Both header generations; two diagnoses a case, another organ's first; DX and TS slides; `'--` for missing."""
    root = data / "tcga-prad"
    prefix, case_column = ("diagnoses.", "cases.submitter_id") if generation == "new" else ("", "case_submitter_id")
    names = ["primary_gleason_grade", "secondary_gleason_grade", "tissue_or_organ_of_origin"]
    rows = [[case_column, "project_id", *(prefix + n for n in names)]]
    slides = []
    for k, (case, group) in enumerate(TCGA_GROUPS.items()):
        first, second = GLEASON[group]
        if k == 0:  # another diagnosis of the case comes first
            rows.append([case, "TCGA-PRAD", "Pattern 5", "Pattern 5", "Colon, NOS"])
        if k == 1:
            rows.append([case, "TCGA-PRAD", "'--", "'--", "Prostate gland"])
        rows.append([case, "TCGA-PRAD", f"Pattern {first}", f"Pattern {second}", "Prostate gland"])
        slides.append(f"{case}-01Z-00-DX1.0000{k:04d}-AAAA.svs")
        if k < 2:  # a second diagnostic slide
            slides.append(f"{case}-01Z-00-DX2.0000{k:04d}-BBBB.svs")
        if k < 3:
            slides.append(f"{case}-01A-01-TS1.0000{k:04d}-CCCC.svs")
    rows += [
        ["TCGA-XX-0001", "TCGA-PRAD", "'--", "'--", "Prostate gland"],
        ["TCGA-XX-0002", "TCGA-PRAD", "Pattern 3", "Pattern 3", "Prostate gland"],
        ["TCGA-XX-0002", "TCGA-PRAD", "Pattern 5", "Pattern 5", "Prostate gland"],
    ]
    slides += [f"TCGA-XX-000{n}-01Z-00-DX1.FFFF.svs" for n in (1, 2, 3)]
    listed = [["File ID", "File Name", "Data Category", "Data Type", "Project ID", "Case ID", "Sample ID"]]
    for k, name in enumerate(slides):
        uuid = f"{k:08x}-0000-4000-8000-000000000000"
        svs(root / uuid / name, 700 + k)
        listed.append([uuid, name, "Biospecimen", "Slide Image", "TCGA-PRAD", name[:12], name[:16]])
    if sheet:
        (root / "gdc_sample_sheet.2026-01-01.tsv").write_text("\n".join("\t".join(r) for r in listed) + "\n")
    (root / "clinical.tsv").write_text("\n".join("\t".join(r) for r in rows) + "\n")
    return data


# --- CAMELYON16 ------------------------------------------------------------------------------------------------
CAMELYON = {
    "train": [
        "normal_001",
        "normal_002",
        "normal_003",
        "normal_004",
        "tumor_002",
        "tumor_003",
        "tumor_004",
        "tumor_111",
    ],
    "val": ["normal_010", "normal_013", "tumor_001", "tumor_005"],
    "test": ["test_001", "test_002", "test_003", "test_004", "test_114"],
}
CAMELYON_TEST = {
    "test_001": "Tumor",
    "test_002": "Tumor",
    "test_003": "Normal",
    "test_004": "Normal",
    "test_114": "Tumor",
    "test_049": "Normal",
}
CAMELYON_COUNTS = {"normal": {"train": 4, "val": 2, "test": 2}, "tumor": {"train": 4, "val": 2, "test": 3}}


def asap_xml(groups: Sequence[tuple[str, Sequence[tuple[float, float]]]]) -> str:
    """ASAP XML; the coordinates are written out of order, as their @Order allows."""
    parts = []
    for k, (group, ring) in enumerate(groups):
        points = [f'<Coordinate Order="{i}" X="{x}" Y="{y}"/>' for i, (x, y) in enumerate(ring)]
        body = "".join(points[::2] + points[1::2])
        parts.append(
            f'<Annotation Name="Annotation {k}" Type="Polygon" PartOfGroup="{group}" Color="#F4FA58">'
            f"<Coordinates>{body}</Coordinates></Annotation>"
        )
    return (
        f'<?xml version="1.0"?><ASAP_Annotations><Annotations>{"".join(parts)}</Annotations>'
        '<AnnotationGroups><Group Name="_0"/></AnnotationGroups></ASAP_Annotations>'
    )


LESION = asap_xml([("_0", SQUARE), ("_2", [(150, 150), (200, 150), (200, 200), (150, 200)])])


def camelyon16(data: Path) -> Path:
    """Annotations still zipped; reference.csv without header; the known bad slides; one xml missing."""
    root = data / "camelyon16"
    names = [*CAMELYON["train"], *CAMELYON["val"], "normal_086", "normal_144"]
    for k, name in enumerate(names):
        pyramid(root / "training" / name.split("_")[0] / f"{name}.tif", 800 + k, 0.25)
    tumours = [n for n in names if n.startswith("tumor") and n != "tumor_004"]  # its xml is missing
    for k, name in enumerate(CAMELYON_TEST):
        pyramid(root / "testing" / "images" / f"{name}.tif", 900 + k, 0.25)
    lines = [
        f"{n},{label},{'IDC' if label == 'Tumor' else 'None'},{'Macro' if label == 'Tumor' else 'None'}"
        for n, label in CAMELYON_TEST.items()
    ]
    (root / "testing" / "reference.csv").write_text("\n".join(lines) + "\n")
    tested = [n for n, label in CAMELYON_TEST.items() if label == "Tumor"]
    for part, some in (("training", tumours), ("testing", tested)):
        with zipfile.ZipFile(root / part / "lesion_annotations.zip", "w") as zipped:
            for name in some:
                zipped.writestr(f"{name}.xml", LESION)
    return data


# --- PANDA -----------------------------------------------------------------------------------------------------
PANDA_GRADES = {f"{k:032x}": (0, 2, 4)[k % 3] for k in range(1, 19)}  # 6 biopsies of each grade 0, 2, 4
PANDA_NOISY = f"{3:032x}"
PANDA_BLANK = "3790f55cad63053e956fb73027179707"


def panda(data: Path) -> Path:
    """Three levels 1/4/16; masks in the red channel; a noise list; the blank slide; a missing mask."""
    root = data / "panda"
    lines, noise = ["image_id,data_provider,isup_grade,gleason_score"], [",image_id,isup_grade,noise_ratio_10"]
    for k, (name, grade) in enumerate({**PANDA_GRADES, PANDA_BLANK: 0}.items()):
        provider = ("karolinska", "radboud")[k % 2]
        gleason = {0: "0+0" if provider == "karolinska" else "negative", 2: "3+4", 4: "4+4"}
        pyramid(root / "train_images" / f"{name}.tiff", 1000 + k, 0.48, levels=3)
        lines.append(f"{name},{provider},{grade},{gleason[grade]}")
        noise.append(f"{k},{name},{grade},{int(name != PANDA_NOISY)}")
        mask = np.zeros((384, 512, 3), np.uint8)
        mask[50:350, 50:450, 0] = 1
        if grade:
            mask[100:250, 100:300, 0] = 2 if provider == "karolinska" else 3
        if k != 5:
            target = root / "train_label_masks" / f"{name}_mask.tiff"
            target.parent.mkdir(exist_ok=True)
            with tifffile.TiffWriter(target) as tif:
                for step in (1, 4, 16):
                    tif.write(
                        mask[::step, ::step],
                        photometric="rgb",
                        tile=(128, 128),
                        compression="lzw",
                        subfiletype=int(step > 1),
                        metadata=None,
                    )
    (root / "train.csv").write_text("\n".join(lines) + "\n")
    (root / "train_with_noisy_labels.csv").write_text("\n".join(noise) + "\n")
    return data


def labelled(folder: Path, rows: list[dict[str, str]]) -> Path:
    """A labels.csv."""
    with (folder / "labels.csv").open("w", newline="") as handle:
        writer = csv.DictWriter(handle, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return folder / "labels.csv"


def megapixel_mnist(data: Path) -> Path:
    """Digits in IDX files, gzipped and not: blobs whose place is their class."""
    folder = data / "mnist"
    folder.mkdir(parents=True)
    for name, n in (("train", 200), ("t10k", 40)):
        labels = (np.arange(n) * 7 % 10).astype(np.uint8)
        images = np.zeros((n, 28, 28), np.uint8)
        for image, label in zip(images, labels, strict=True):
            image[4 + 2 * label : 6 + 2 * label, 4:24] = 255
        head = b"\x00\x00\x08\x03" + np.array(images.shape, ">u4").tobytes()
        with gzip.open(folder / f"{name}-images-idx3-ubyte.gz", "wb") as file:
            file.write(head + images.tobytes())
        (folder / f"{name}-labels-idx1-ubyte").write_bytes(
            b"\x00\x00\x08\x01" + np.array(labels.shape, ">u4").tobytes() + labels.tobytes()
        )
    return data


def mosaic(data: Path) -> Path:
    """Eight mosaics of photos painted for them."""
    make_mosaics(paint_photos(data), small_settings(slides=8), data / "mosaic", 1)
    return data


LAYOUTS = {
    "bach": bach,
    "bach-wsi": bach_wsi,
    "tcga-prad": tcga_prad,
    "camelyon16": camelyon16,
    "panda": panda,
    "mosaic": mosaic,
    "megapixel-mnist": megapixel_mnist,
}
