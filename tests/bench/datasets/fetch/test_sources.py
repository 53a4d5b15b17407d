"""What each source lists and asks of the user: a bucket, a manifest, a licence that no program may accept."""

import json

import pytest

from bench.datasets.fetch import download as downloading
from tests.bench.datasets import images, layouts

RECORD, ARCHIVE = 3632035, "ICIAR2018_BACH_Challenge.zip"
QUICK = ["--accept-licence", "--wait-s", "0"]


# --- the other sources -----------------------------------------------------------------------------------------
def test_bucket_of_camelyon16(server, command, tmp_path, tmp_path_factory):
    source = tmp_path_factory.mktemp("bucket")
    names = [*layouts.CAMELYON["train"], *layouts.CAMELYON["val"], *layouts.CAMELYON_TEST]
    objects = {"README.md": b"about", "masks/tumor_001_mask.tif": b"not wanted"}
    for k, name in enumerate(names):
        images.pyramid(source / f"{name}.tif", 2000 + k, 0.25, size=(256, 256))
        objects[f"images/{name}.tif"] = (source / f"{name}.tif").read_bytes()
        if name.startswith("tumor"):
            objects[f"annotations/{name}.xml"] = layouts.LESION.encode()
    lines = [f"{k},{v},IDC,Macro" for k, v in layouts.CAMELYON_TEST.items()]
    objects["evaluation/reference.csv"] = "\n".join(lines).encode()
    server.bucket("CAMELYON16/", objects)
    server.faults["/CAMELYON16/images/tumor_001.tif"] = "wrong bytes"
    code, out, err = command("data", "fetch", "camelyon16", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 3 and err.count("\n") == 1 and "images/tumor_001.tif" in err, "the others are fetched all the same"
    server.faults.clear()
    assert command("data", "fetch", "camelyon16", "--data", tmp_path, "--from", server.url, *QUICK)[0] == 0
    code, out, _ = command("data", "info", "camelyon16", "--data", tmp_path, "--json")
    found = json.loads(out)["here"]
    assert {
        c: {p: n[p] for p in ("train", "val", "test")} for c, n in found["counts"].items()
    } == layouts.CAMELYON_COUNTS
    assert not (tmp_path / "camelyon16" / "masks").exists()
    assert server.asked["/CAMELYON16/images/normal_001.tif"] == 1


def gdc(server, slides):
    """The GDC's two listings, and its data."""
    rows = ["id\tfilename\tmd5\tsize\tstate"]
    for uuid, (name, content) in slides.items():
        import hashlib

        rows.append(f"{uuid}\t{name}\t{hashlib.md5(content).hexdigest()}\t{len(content)}\treleased")
        server.files[f"/data/{uuid}"] = content
    asked = []
    server.listings["/files"] = lambda body: asked.append(body) or "\n".join(rows) + "\n"
    hits = [
        {
            "submitter_id": case,
            "diagnoses": [
                {
                    "primary_gleason_grade": f"Pattern {layouts.GLEASON[g][0]}",
                    "secondary_gleason_grade": f"Pattern {layouts.GLEASON[g][1]}",
                    "tissue_or_organ_of_origin": "Prostate gland",
                }
            ],
        }
        for case, g in layouts.TCGA_GROUPS.items()
    ]
    server.listings["/cases"] = {"data": {"hits": [*hits, {"submitter_id": "TCGA-XX-9999"}]}}
    return asked


def test_manifest_of_tcga_prad(server, command, tmp_path, tmp_path_factory):
    source = tmp_path_factory.mktemp("gdc")
    slides = {}
    for k, case in enumerate(layouts.TCGA_GROUPS):
        name = f"{case}-01Z-00-DX1.AAAA.svs"
        images.svs(source / name, 3000 + k)
        slides[f"{k:08x}-0000-4000-8000-000000000000"] = (name, (source / name).read_bytes())
    asked = gdc(server, slides)
    code, out, err = command("data", "fetch", "tcga-prad", "--data", tmp_path, "--from", server.url, *QUICK)
    assert code == 0, err
    filters = json.dumps(asked[0]["filters"])
    for words in ("TCGA-PRAD", "Diagnostic Slide", '"open"'):
        assert words in filters
    code, out, _ = command("data", "info", "tcga-prad", "--data", tmp_path, "--json")
    assert {c: n["all"] for c, n in json.loads(out)["here"]["counts"].items()} == {
        "grade group 1": 6,
        "grade group 2": 6,
        "grade group 3": 6,
    }
    some = sorted(slides)[:2]
    (tmp_path / "part" / "tcga-prad").mkdir(parents=True)
    rows = ["id\tfilename\tmd5\tsize\tstate"]
    for u in some:
        import hashlib

        rows.append(f"{u}\t{slides[u][0]}\t{hashlib.md5(slides[u][1]).hexdigest()}\t{len(slides[u][1])}\treleased")
    (tmp_path / "part" / "tcga-prad" / "gdc_manifest.2026-01-01.txt").write_text("\n".join(rows) + "\n")
    assert command("data", "fetch", "tcga-prad", "--data", tmp_path / "part", "--from", server.url, *QUICK)[0] == 0
    assert len(list((tmp_path / "part").rglob("*.svs"))) == 2, "a user's own manifest chooses the slides"


def test_panda_says_what_the_user_must_do(command, tmp_path):
    code, _, err = command("data", "fetch", "panda", "--data", tmp_path, *QUICK)
    assert code == 2 and len(err.splitlines()) == 1
    for words in (
        "kaggle competitions download -c prostate-cancer-grade-assessment",
        "train.csv",
        "train_label_masks/",
    ):
        assert words in err


def test_a_listing_cannot_write_outside(server, tmp_path):
    with pytest.raises(downloading.DownloadError, match="outside the folder"):
        downloading.target_path(tmp_path, "../evil")
    for path in ("/etc/evil", "a/../../evil", "c:evil", "a\\..\\evil"):
        with pytest.raises(downloading.DownloadError):
            downloading.target_path(tmp_path, path)
    assert downloading.target_path(tmp_path, "a/b") == tmp_path / "a" / "b"
