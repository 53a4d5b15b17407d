"""Megapixel MNIST: what is drawn, no digit in two parts, and the whole run with an encoder trained end to end."""

import json
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch

from bench.datasets import load_dataset
from bench.datasets.generated.megapixel import MegapixelSettings, draw, generate, load_digits, tint
from bench.errors import UsageError
from jsma.cells.tissue import tissue_mask
from jsma.encoders.encoder import EncoderError, EncoderSettings, build_encoder
from tests.bench.datasets import layouts


@pytest.fixture(scope="module")
def digits(tmp_path_factory):
    return layouts.megapixel_mnist(tmp_path_factory.mktemp("digits")) / "mnist"


def test_three_equal_digits_two_others_and_strokes(digits):
    pool = load_digits(digits)["train"]
    for index in range(30):
        image, corners, label = draw(MegapixelSettings(strokes=0), index, pool)
        assert image.shape == (1500, 1500) and label == index % 10 and len(corners) == 3
        rows = {4 + 2 * d: d for d in range(10)}  # the test's digits are bars whose row is their class
        seen = [rows[int(image[y : y + 28, x : x + 28].max(1).argmax())] for x, y in corners]
        assert seen == [label] * 3
        bars = image.sum() // (255 * 40)
        assert bars == 5, "five digits, none over another"
        plain = image.astype(int)
        noisy, again, _ = draw(MegapixelSettings(), index, pool)
        assert again == corners and (noisy != plain).sum() > 50 * 28
    np.testing.assert_array_equal(draw(MegapixelSettings(), 3, pool)[0], draw(MegapixelSettings(), 3, pool)[0])
    other = draw(MegapixelSettings(seed=1), 3, pool)[0]
    assert (other != draw(MegapixelSettings(), 3, pool)[0]).any()


def test_no_digit_is_in_two_parts(tmp_path):
    rng = np.random.default_rng(0)
    images, labels = rng.integers(0, 256, (300, 28, 28)).astype(np.uint8), (np.arange(300) % 10).astype(np.uint8)
    np.savez(tmp_path / "mnist.npz", images=images, labels=labels)
    parts = load_digits(tmp_path)
    seen = [{x.tobytes() for x in parts[part][0]} for part in ("train", "val", "test")]
    assert [len(s) for s in seen] == [180, 60, 60] and len(set.union(*seen)) == 300
    for x, y in parts.values():
        for image, label in zip(x, y, strict=True):
            assert (images[labels == label] == image).all(axis=(1, 2)).any()


def test_published_test_digits_are_test_digits(digits):
    parts = load_digits(digits)
    assert [len(parts[p][1]) for p in ("train", "val", "test")] == [160, 40, 40]


def test_the_tint_is_linear_and_all_of_it_is_tissue():
    grey = np.arange(256, dtype=np.uint8)
    rgb = tint(grey).astype(float)
    line = np.array([150.0, 50, 110]) + grey[:, None] * (100 / 255)
    assert np.abs(rgb - line).max() <= 0.5
    for image in (
        np.zeros((180, 180), np.uint8),
        np.random.default_rng(0).integers(0, 256, (180, 180), dtype=np.uint8),
    ):
        assert tissue_mask(tint(image)).all()


@pytest.mark.parametrize("damage", ("short", "magic", "labels", "npz"))
def test_damaged_digits_get_one_line(damage, tmp_path):
    folder = layouts.megapixel_mnist(tmp_path) / "mnist"
    labels = folder / "train-labels-idx1-ubyte"
    content = labels.read_bytes()
    if damage == "npz":
        (folder / "mnist.npz").write_bytes(b"nothing")
    elif damage == "labels":
        labels.unlink()
    else:
        labels.write_bytes(content[:-3] if damage == "short" else b"\xff" + content[1:])
    with pytest.raises(UsageError, match="fetch them again") as error:
        generate(MegapixelSettings(images=1), folder, tmp_path / "made")
    assert "\n" not in str(error.value) and not (tmp_path / "made").exists()


def test_digits_without_images_say_how_to_make_them(digits):
    with pytest.raises(UsageError, match="jsma-bench run --dataset megapixel-mnist"):
        from bench.datasets.known.megapixel_mnist import MegapixelMnist

        MegapixelMnist().read(digits, "")


def test_the_published_encoder():
    encoder = build_encoder(EncoderSettings("mnist-conv", pretrained=None, frozen=False))
    assert encoder.dim == 32 and sum(p.numel() for p in encoder.parameters()) == 32 * (147 + 3 * 288 + 4)
    black = torch.from_numpy(tint(np.zeros((1, 50, 50), np.uint8)))
    assert float(((black.permute(0, 3, 1, 2) / 255 - encoder.mean) / encoder.std).abs().max()) < 1e-5
    features = encoder(torch.randint(0, 256, (3, 50, 50, 3), dtype=torch.uint8))
    torch.testing.assert_close(features.norm(dim=1), torch.ones(3))
    with pytest.raises(EncoderError, match="pretrained=null"):
        build_encoder(EncoderSettings("mnist-conv"))


PUBLISHED = [
    "mpps=[0.5]",
    "mpp=0.5",
    "patch_px=50",
    "overlap_from_mpp=0.5",
    "overview_mpp=4.1666667",
    "n_patches=10",
    "width=8",
    "entropy_weight=1e-4",
    "smoothing_eps=1e-5",
    "name=mnist-conv",
    "pretrained=null",
    "stage=null",
    "frozen=false",
    "features=fresh",
    "standardise=false",
    "learning_rate=1e-3",
    "weight_decay=0",
]


def test_the_documented_settings_run_end_to_end(digits, command, tmp_path):
    page = (Path(__file__).resolve().parents[3] / "docs" / "datasets.md").read_text()
    assert all(f"--set {text}" in page for text in PUBLISHED), "docs/datasets.md gives another command"
    sets = [part for text in (*PUBLISHED, "slides=30", "epochs=1") for part in ("--set", text)]
    code, out, err = command(
        "run",
        "--dataset",
        "megapixel-mnist",
        "--data",
        digits.parent,
        "--strategies",
        "jsma",
        "--preset",
        "tiny",
        "--out",
        tmp_path,
        *sets,
    )
    assert code == 0, err
    (folder,) = (s.parent for s in tmp_path.glob("*/status.json"))
    rows = pd.read_parquet(folder / "predictions.parquet")
    assert len(rows) == 10 and (rows["patches"] == 10).all() and (rows["tissue_cells"] == 3600).all()
    assert rows["in_evidence"].notna().all()
    assert json.loads((folder / "settings.json").read_text())["settings"]["encoder"]["name"] == "mnist-conv"
    trained = torch.load(folder / "weights.pt", weights_only=True)["encoder"]["body.0.weight"]
    first = build_encoder(EncoderSettings("mnist-conv", pretrained=None, frozen=False), seed=0).body[0].weight
    assert not torch.equal(trained, first), "the encoder was trained"


def test_larger_images(digits):
    from bench.runs.settings.presets import PRESETS, Preset

    preset = Preset(slides=30, seeds=1, epochs=1, side0_px=1600)
    dataset = load_dataset("megapixel-mnist:sized", preset, digits.parent)
    assert dataset.name == "megapixel-mnist-sized" and len(dataset.records) == 30
    with pytest.raises(UsageError, match="allowed: at least 1, at least 1000"):
        load_dataset("megapixel-mnist:sized", Preset(slides=30, seeds=1, epochs=1, side0_px=200), digits.parent)
    assert PRESETS["demo"].side0_px != 1500
