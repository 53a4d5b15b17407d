"""Ids, labels and counts of every published layout against values written by hand."""

from collections import Counter

import pytest

from bench.datasets import source_named
from bench.datasets.known.committed import read_committed
from bench.datasets.known.tcga_prad import grade_group
from bench.errors import UsageError
from tests.bench.datasets import layouts


def read(name, data):
    source, task = source_named(name)
    return source.read(source.find(data), task)


def by_split(dataset):
    table = {c: {} for c in dataset.classes}
    for (label, split), n in Counter((r.label, r.split or "-") for r in dataset.records).items():
        table[label][split] = n
    return table


# --- BACH ------------------------------------------------------------------------------------------------------
def test_bach_public_splits_are_the_published_ones():
    lists = read_committed("bach")
    held_out, tuning, patients = lists["held_out"], lists["tuning"], lists["patients"]
    assert (len(held_out), len(tuning), len(set(held_out) | set(tuning))) == (132, 50, 182)
    assert Counter(i.rstrip("0123456789") for i in held_out) == {"b": 48, "is": 30, "iv": 31, "n": 23}
    order = sorted(f"{p}{k:03d}" for p in ("b", "is", "iv", "n") for k in range(1, 101))  # class, then file
    positions = [*range(15, 25), *range(110, 120), *range(200, 210), *range(305, 315), *range(380, 390)]
    assert tuning == [order[k] for k in positions]
    assert len(patients) == 145
    tested = Counter(patients[i] for i in held_out)
    assert len(tested) == 24 and max(tested.values()) == 36
    assert not set(tested) & {patients[i] for i in patients if i not in set(held_out)}, "no patient in two parts"


def test_bach_counts_and_left_out(built):
    dataset = read("bach", built("bach"))
    assert dataset.classes == ("Normal", "Benign", "InSitu", "Invasive")
    assert by_split(dataset) == layouts.BACH_COUNTS
    assert dataset.problems == {"b098": "file missing", "b099": "the table says Benign, the file lies in Normal"}
    labels = {r.id: (r.label, r.split, r.patient) for r in dataset.records}
    assert labels["b042"] == ("Benign", "test", "16")
    assert labels["iv010"] == ("Invasive", "val", None)
    assert labels["b060"] == ("Benign", "train", "19")
    assert {r.mpp for r in dataset.records} == {0.42}


def test_bach_second_public_split_and_folds(built):
    dataset = read("bach:train-val", built("bach"))
    parts = dataset.split(0, 5)
    assert len(parts["test"]) == 12 and len(parts["train"]) + len(parts["val"]) == 24
    assert {r.label for r in parts["train"]} == {r.label for r in parts["val"]} == set(dataset.classes)
    assert {r.id for r in parts["test"]} <= set(read_committed("bach")["held_out"])
    assert {r.split for r in read("bach:folds", built("bach")).records} == {None}


def test_bach_unknown_class_is_named(tmp_path):
    table = tmp_path / "bach" / "ICIAR2018_BACH_Challenge" / "Photos" / "microscopy_ground_truth.csv"
    table.parent.mkdir(parents=True)
    table.write_text("b001.tif,Bening\n")
    with pytest.raises(UsageError, match=r"b001.tif: class 'Bening'; allowed: Normal, Benign"):
        read("bach", tmp_path)


def test_bach_wsi_takes_the_gravest_class_and_leaves_out_what_is_not_annotated(built):
    dataset = read("bach-wsi", built("bach-wsi"))
    assert {r.id: r.label for r in dataset.records} == layouts.BACH_WSI_LABELS
    assert dataset.left_out == {"01": "no xml: not annotated"}
    assert sorted(r.id for r in dataset.split(4, 5)["test"]) == ["A09", "A10"]
    assert sorted(r.id for r in dataset.split(4, 5)["val"]) == ["A01", "A02"]


# --- TCGA-PRAD -----------------------------------------------------------------------------------------------------
@pytest.mark.parametrize(
    "gleason, group",
    [
        ((3, 3), 1),
        ((2, 3), 1),
        ((3, 4), 2),
        ((4, 3), 3),
        ((4, 4), 4),
        ((3, 5), 4),
        ((5, 3), 4),
        ((4, 5), 5),
        ((5, 5), 5),
    ],
)
def test_grade_groups(gleason, group):
    assert grade_group(*gleason) == group


@pytest.mark.parametrize("generation", ["new", "old"])
@pytest.mark.parametrize("sheet", [True, False])
def test_tcga_both_headers_and_with_or_without_sheet(generation, sheet, tmp_path):
    layouts.tcga_prad(tmp_path, generation, sheet)
    dataset = read("tcga-prad", tmp_path)
    assert Counter(r.label for r in dataset.records) == {"grade group 1": 7, "grade group 2": 7, "grade group 3": 6}
    assert all(r.label == f"grade group {layouts.TCGA_GROUPS[str(r.patient)]}" for r in dataset.records)
    assert Counter(r.site for r in dataset.records) == {"HC": 10, "EJ": 10}
    reasons = Counter(dataset.left_out.values())
    assert reasons == {
        "TS: frozen section, not diagnostic": 3,
        "no prostate diagnosis with both Gleason patterns": 1,
        "2 diagnoses disagree on the grade group": 1,
    }
    assert dataset.problems == {"TCGA-XX-0003-01Z-00-DX1": "case not in clinical.tsv"}
    assert Counter(r.label for r in read("tcga-prad:binary", tmp_path).records) == {
        "grade group 1-2": 14,
        "grade group 3-5": 6,
    }


def test_tcga_cases_stay_together(built):
    dataset = read("tcga-prad", built("tcga-prad"))
    twice = [c for c, n in Counter(r.patient for r in dataset.records).items() if n == 2]
    assert len(twice) == 2
    for fold in range(5):
        parts = dataset.split(fold, 5)
        assert all(sum(c in {r.patient for r in part} for part in parts.values()) == 1 for c in twice)


def test_tcga_other_tables_are_refused(tmp_path):
    (tmp_path / "tcga-prad").mkdir()
    (tmp_path / "tcga-prad" / "clinical.tsv").write_text("patient\tgleason\n1\t7\n")
    with pytest.raises(UsageError, match="no column cases.submitter_id or case_submitter_id"):
        read("tcga-prad", tmp_path)


# --- CAMELYON16 ------------------------------------------------------------------------------------------------------
def test_camelyon_counts_and_known_bad_slides(built):
    dataset = read("camelyon16", built("camelyon16"))
    assert by_split(dataset) == layouts.CAMELYON_COUNTS
    assert set(dataset.left_out) == {"normal_086", "normal_144", "test_049"}
    masks = {r.id: r.mask for r in dataset.records}
    assert masks["test_114"] is None and masks["normal_001"] is None, "not fully annotated, and nothing to annotate"
    assert masks["tumor_004"] is not None, "expected, though it is missing: `verify` tells"
    lists = read_committed("camelyon16")
    assert (len(lists["test"]), len(lists["val"])) == (130, 54)
    assert Counter(i.split("_")[0] for i in lists["val"]) == {"normal": 32, "tumor": 22}


def test_camelyon_layout_of_the_public_bucket(built, tmp_path):
    source = built("camelyon16") / "camelyon16"
    root = tmp_path / "camelyon16"
    (root / "images").mkdir(parents=True)
    (root / "annotations").mkdir()
    (root / "evaluation").mkdir()
    for path in source.glob("*/*/*.tif"):
        (root / "images" / path.name).symlink_to(path)
    lines = [f"{k}.tif,{v.lower()},macro,0" for k, v in layouts.CAMELYON_TEST.items()]
    (root / "evaluation" / "reference.csv").write_text("\n".join(["image,class,type,center", *lines]))
    (root / "annotations" / "tumor_001.xml").write_text(layouts.LESION)
    dataset = read("camelyon16", tmp_path)
    assert by_split(dataset) == layouts.CAMELYON_COUNTS
    mask = {r.id: r.mask for r in dataset.records}
    assert mask["tumor_001"] == str(root / "annotations" / "tumor_001.xml")


# --- PANDA -----------------------------------------------------------------------------------------------------------
def test_panda_counts_noise_list_and_blank_slide(built):
    dataset = read("panda", built("panda"))
    assert Counter(r.label for r in dataset.records) == {"ISUP 0": 5, "ISUP 2": 6, "ISUP 4": 6}
    assert dataset.left_out == {
        layouts.PANDA_NOISY: "noisy label (train_with_noisy_labels.csv)",
        layouts.PANDA_BLANK: "blank slide: no tissue",
    }
    assert Counter(r.site for r in dataset.records) == {"karolinska": 8, "radboud": 9}
    assert {r.scheme for r in dataset.records} == {"panda-karolinska", "panda-radboud"}


def test_panda_grades_keep_their_distances_where_some_have_no_slide(built):
    dataset = read("panda", built("panda"))
    assert dataset.classes == ("ISUP 0", "ISUP 2", "ISUP 4")
    assert dataset.class_order == tuple(f"ISUP {grade}" for grade in range(6))
    assert read("panda:binary", built("panda")).class_order == ("ISUP 0-2", "ISUP 3-5")
    assert read("camelyon16", built("camelyon16")).class_order == (), "normal and tumor are no grades"


def test_panda_suspicious_list(built, tmp_path):
    root = tmp_path / "panda"
    root.mkdir()
    for path in (built("panda") / "panda").iterdir():
        (root / path.name).symlink_to(path)
    first, second = list(layouts.PANDA_GRADES)[:2]
    (root / "PANDA_Suspicious_Slides_15_05_2020.csv").write_text(f"image_id,reason\n{first},marks\n{second},No Mask\n")
    left_out = read("panda", tmp_path).left_out
    assert left_out[first] == "marks (PANDA_Suspicious_Slides_15_05_2020.csv)"
    assert second not in left_out, "a slide without mask still has a label"
