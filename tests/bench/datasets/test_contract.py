"""What every dataset must keep, the user's own included: one suite over all of them."""

import shutil
from dataclasses import fields, replace
from pathlib import Path

import pytest

from bench.datasets import DATASETS, load_dataset, source_named
from bench.datasets.contract import PARTS
from bench.errors import UsageError
from bench.runs.settings.presets import PRESETS
from jsma.slides import open_slide

OWN = """
from bench.datasets import Card, Dataset, DatasetSource
from bench.datasets.labelled import load


class Mine(DatasetSource):
    card = Card("mine", "My slides", "1", "https://example.org", "CC0", "me", ("a", "b"), {}, 0, None, "accuracy")
    markers = ("labels.csv",)

    def read(self, root, task):
        loaded = load(root / "labels.csv")
        return Dataset("mine", loaded.classes, loaded.records, card=self.card)
"""
NAMES = [*DATASETS, "own"]


@pytest.fixture(scope="session")
def own(tmp_path_factory, built):
    """A dataset file of the user's own, over the CAMELYON16 slides."""
    folder = tmp_path_factory.mktemp("own")
    (folder / "mine").mkdir()
    slides = sorted((built("camelyon16") / "camelyon16").glob("training/*/*.tif"))
    lines = ["path,label", *(f"{p},{'ab'['tumor' in p.name]}" for p in slides if "086" not in p.name)]
    (folder / "mine" / "labels.csv").write_text("\n".join(lines))
    (folder / "own.py").write_text(OWN)
    return folder


@pytest.fixture
def load(built, own, tmp_path_factory):
    """load(name, task=""): the dataset, ready to run."""

    def loaded(name, task=""):
        if name == "own":
            return load_dataset(f"{own / 'own.py'}:Mine", None, own)
        if name == "demo":
            return load_dataset("demo", PRESETS["tiny"], tmp_path_factory.getbasetemp() / "demo")
        return load_dataset(f"{name}:{task}" if task else name, None, built(name))

    return loaded


@pytest.mark.parametrize("name", NAMES)
def test_records_are_whole(name, load):
    dataset = load(name)
    assert len({r.id for r in dataset.records}) == len(dataset.records) > 0
    assert {r.label for r in dataset.records} == set(dataset.classes)
    for record in dataset.records:
        assert Path(record.path).is_file()
        assert record.split in (None, *PARTS)
    assert not ({*dataset.left_out, *dataset.problems} & {r.id for r in dataset.records})
    assert all(dataset.left_out.values()), "every slide that is left out has a reason"


@pytest.mark.parametrize("name", NAMES)
def test_an_order_of_the_classes_is_that_of_the_logits(name, load):
    dataset = load(name)
    assert dataset.card is not None
    assert bool(dataset.class_order) == dataset.card.ordered
    if dataset.card.ordered:
        assert [c for c in dataset.class_order if c in dataset.classes] == list(dataset.classes)


@pytest.mark.parametrize("name", NAMES)
def test_parts_are_disjoint_and_keep_patients_together(name, load):
    dataset = load(name)
    folds = 1 if all(r.split for r in dataset.records) else 2
    for fold in range(folds):
        parts = dataset.split(fold, 5)
        ids = [r.id for part in PARTS for r in parts[part]]
        assert len(ids) == len(set(ids)) == len(dataset.records)
        assert all(parts[part] for part in PARTS)
        patients = [{r.patient for r in parts[part]} - {None} for part in PARTS]
        assert not (patients[0] & patients[1] or patients[0] & patients[2] or patients[1] & patients[2])
        assert parts == dataset.split(fold, 5), "the same seed gives the same parts"
        assert {r.label for r in parts["train"]} >= {r.label for r in parts["test"]} or name == "bach-wsi"


@pytest.mark.parametrize("name", NAMES)
def test_fingerprint_follows_content_and_not_the_folder(name, load, tmp_path):
    dataset = load(name)
    copies = []
    for k, record in enumerate(dataset.records):
        copies.append(replace(record, path=str(tmp_path / f"{k}{Path(record.path).suffix}"), name=record.id))
        shutil.copy(record.path, copies[-1].path)
    moved = replace(dataset, records=tuple(copies))
    assert (
        moved.fingerprint == replace(dataset, records=tuple(replace(r, name=r.id) for r in dataset.records)).fingerprint
    )
    other = next(c for c in dataset.classes if c != dataset.records[0].label)
    relabelled = (replace(dataset.records[0], label=other), *dataset.records[1:])
    assert replace(dataset, records=relabelled).fingerprint != dataset.fingerprint
    with open(copies[0].path, "ab") as handle:
        handle.write(b"more")
    assert replace(moved, records=tuple(copies)).fingerprint != moved.fingerprint


@pytest.mark.parametrize("name", NAMES)
def test_photos_and_slides_open_alike(name, load):
    record = load(name).records[0]
    with open_slide(record.path, mpp=record.mpp) as slide:
        assert slide.info.reader in ("cucim", "tifffile")
        assert len(slide.info.levels) > 1, "a pyramid, so that a sampler can save reading"
        assert 0.2 <= slide.info.mpp <= 0.6


@pytest.mark.parametrize("name", DATASETS)
def test_card_is_complete(name):
    source, _ = source_named(name)
    for field in fields(source.card):
        if field.name not in ("mpp", "note", "counts", "size_bytes", "ordered"):
            assert getattr(source.card, field.name), field.name
    assert source.card.name == name
    assert set(source.card.counts) <= set(source.card.classes)
    assert "" in source.tasks


@pytest.mark.parametrize("name", [n for n in DATASETS if n not in ("demo", "mosaic")])
def test_without_data_one_line_says_all(name, command, tmp_path):
    source, _ = source_named(name)
    data = tmp_path / "data"
    code, out, err = command("run", "--dataset", name, "--data", data)
    assert (code, out, len(err.splitlines())) == (2, "", 2) and err.startswith("starting: ")
    fetch = f"with: jsma-bench data fetch {name} --data {data}"
    for words in (source.markers[0], source.card.url, "GB", source.card.licence, fetch):
        assert words in err
    assert not data.exists(), "a run that cannot start leaves nothing behind"


@pytest.mark.parametrize("name", [n for n in DATASETS if n != "demo"])
def test_every_task_loads(name, load):
    source, _ = source_named(name)
    seen = {}
    for task in source.tasks:
        dataset = load(name, task)
        assert len(dataset.classes) >= 2
        seen[dataset.name] = dataset.fingerprint
    assert len(seen) == len(set(seen.values())) == len(source.tasks)


def test_mosaics_are_made_by_the_user_and_named_by_their_folder(built, tmp_path):
    with pytest.raises(
        UsageError, match=r"no mosaic\.json in .*; make mosaics of your own photos with: jsma-bench data"
    ):
        load_dataset("mosaic", None, tmp_path)
    with pytest.raises(UsageError, match=r"dataset mosaic:.*: there is no mosaic\.json in it"):
        load_dataset(f"mosaic:{tmp_path}", None, tmp_path)
    folder = built("mosaic") / "mosaic"
    dataset = load_dataset(f"mosaic:{folder}", None, tmp_path)
    assert (dataset.name, dataset.classes) == ("mosaic-mosaic", ("negative", "sick"))
    assert dataset.fingerprint == load_dataset("mosaic", None, folder.parent).fingerprint


MISTAKES = {
    "nope": "there are: demo, bach",
    "bach:nope": "has no task 'nope'; there are: bach, bach:train-val",
    "gone.py:Mine": "no such file",
    "broken.py:Mine": "cannot be imported (SyntaxError",
    "own.py:Nope": "there is: Mine",
    "bare.py:Bare": "give it card, markers and read",
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistakes_get_one_line(name, own, monkeypatch):
    monkeypatch.chdir(own)
    (own / "broken.py").write_text("class Mine(")
    (own / "bare.py").write_text("from bench.datasets import DatasetSource\n\n\nclass Bare(DatasetSource):\n    pass\n")
    with pytest.raises(UsageError) as error:
        load_dataset(name, None, own)
    assert MISTAKES[name] in str(error.value) and "\n" not in str(error.value)
