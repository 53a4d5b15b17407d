"""Megapixel MNIST: five digits and fifty strokes on a large image. Three equal digits are its class."""

from __future__ import annotations

import csv
import gzip
import hashlib
import io
import json
import os
from collections.abc import Callable
from dataclasses import asdict, dataclass
from functools import lru_cache, partial
from pathlib import Path

import cv2
import numpy as np

from bench.datasets.generated.pyramid import write_pyramid
from bench.errors import UsageError
from bench.files import remove_leftovers, write_bytes
from bench.workers import mapped

DIGIT_PX = 28
MPP = 0.5  # nominal: a digit has no size in micrometres
QUALITY = 95  # JPEG
BLACK, GAIN = np.array([150, 50, 110]), 100  # grey 0 and its distance to grey 255: tinted, so that all of it is tissue
TURNS = ("train", "val", "test", "train", "train", "test", "train", "val", "train", "train")


@dataclass(frozen=True)
class MegapixelSettings:
    """What is drawn on an image.

    The defaults are the published ones, except for the number of images (5000 to train and 1000 to test).

    Attributes:
        images: How many.
        side0_px: Side of an image in pixels, 1000 or more.
        strokes: Pieces of noise on an image.
        equal: Digits of the class on an image.
        others: Digits of other classes on an image.
        seed: Of everything that is drawn.
    """

    images: int = 200
    side0_px: int = 1500
    strokes: int = 50
    equal: int = 3
    others: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.images < 1 or self.side0_px < 1000:
            raise ValueError(f"images {self.images}, side0_px {self.side0_px}; allowed: at least 1, at least 1000")

    def split(self, index: int) -> str:
        """Find the part of image `index`: of every ten of one class, six train, two validate, two test."""
        return TURNS[index // 10 % 10]


Digits = tuple[np.ndarray, np.ndarray]  # uint8 [n, 28, 28], uint8 [n]


@lru_cache(maxsize=2)
def load_digits(folder: Path) -> dict[str, Digits]:
    """Read the digits and share them out, no digit to two parts.

    The test part has the digits of the t10k file, or a fifth of the training file where that is absent.

    Args:
        folder: Holds IDX files (gzipped or not), or a `mnist*.npz` with `images` and `labels`.

    Returns:
        "train", "val" and "test" -> (uint8 [n, 28, 28], uint8 [n]).

    Raises:
        UsageError: the files are damaged or incomplete.
    """
    try:
        archive = next(iter(sorted(folder.glob("mnist*.npz"))), None)
        test: Digits | None = None
        if archive is not None:
            with np.load(archive, allow_pickle=False) as found:
                images, labels = found["images"], found["labels"]
        else:
            images, labels = _idx(folder, "train-images-idx3-ubyte"), _idx(folder, "train-labels-idx1-ubyte")
            if next(folder.glob("t10k-images-idx3-ubyte*"), None) is not None:
                test = _idx(folder, "t10k-images-idx3-ubyte"), _idx(folder, "t10k-labels-idx1-ubyte")
    except (OSError, ValueError, KeyError, EOFError) as error:
        raise UsageError(f"{folder}: not readable as MNIST digits ({error}); fetch them again") from error
    for x, y in [(images, labels), *([test] if test else [])]:
        if x.shape[1:] != (DIGIT_PX, DIGIT_PX) or x.shape[:1] != y.shape or set(np.unique(y)) != set(range(10)):
            raise UsageError(f"{folder}: digits {x.shape}, labels {y.shape}; needed: [n, 28, 28], [n], all ten digits")
    turn = np.zeros(len(labels), int)
    for digit in range(10):  # every class is in every part
        turn[labels == digit] = np.arange((labels == digit).sum()) % 5
    parts = {"train": turn < 4 if test else turn < 3, "val": turn == 4 if test else turn == 3}
    some = {part: (images[kept], labels[kept]) for part, kept in parts.items()}
    return {**some, "test": test or (images[turn == 4], labels[turn == 4])}


def _idx(folder: Path, name: str) -> np.ndarray:
    """An IDX file of unsigned bytes: magic 0 0 8 n, n sizes, the bytes."""
    path = next((p for p in (folder / name, folder / f"{name}.gz") if p.is_file()), None)
    if path is None:
        raise FileNotFoundError(f"{name} is missing")
    content = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    if content[:3] != b"\x00\x00\x08":
        raise ValueError(f"{path.name} is no IDX file of bytes")
    shape = np.frombuffer(content, ">u4", content[3], 4)
    return np.frombuffer(content, np.uint8, offset=4 + 4 * content[3]).reshape(shape)


def draw(settings: MegapixelSettings, index: int, digits: Digits) -> tuple[np.ndarray, list[tuple[int, int]], int]:
    """Draw image `index`.

    Args:
        settings: What is drawn.
        index: Number of the image. Its last figure is the class.
        digits: The digits of the image's part.

    Returns:
        The grey image uint8 [side, side], the corners (x, y) of the digits that decide, and the label.
    """
    rng = np.random.default_rng([settings.seed, index])
    images, labels = digits
    label = index % 10
    chosen = [
        *rng.choice(np.flatnonzero(labels == label), settings.equal),
        *rng.choice(np.flatnonzero(labels != label), settings.others),
    ]
    canvas = np.zeros((settings.side0_px, settings.side0_px), np.uint8)
    corners: list[tuple[int, int]] = []
    while len(corners) < len(chosen):  # digits do not overlap; strokes may lie anywhere, as published
        x, y = (int(v) for v in rng.integers(0, settings.side0_px - DIGIT_PX + 1, 2))
        if all(max(abs(x - a), abs(y - b)) >= DIGIT_PX for a, b in corners):
            corners.append((x, y))
    for (x, y), which in zip(corners, chosen, strict=True):
        canvas[y : y + DIGIT_PX, x : x + DIGIT_PX] = images[which]
    for x, y in rng.integers(DIGIT_PX, settings.side0_px - DIGIT_PX, (settings.strokes, 2)):
        canvas[y : y + DIGIT_PX, x : x + DIGIT_PX] = _strokes(rng)
    return canvas, corners[: settings.equal], label


def _strokes(rng: np.random.Generator) -> np.ndarray:
    """Two straight lines across a piece of 28 x 28, of uneven brightness."""
    piece = np.zeros((DIGIT_PX, DIGIT_PX), np.uint8)
    for _ in range(2):
        (a, b), flip = rng.integers(0, DIGIT_PX, 2).tolist(), bool(rng.random() < 0.5)
        ends = ((0, a), (DIGIT_PX - 1, b))
        start, end = (e[::-1] if flip else e for e in ends)
        cv2.line(piece, start, end, 255)
    return (piece * rng.uniform(0.8, 1.0, piece.shape)).astype(np.uint8)


def tint(grey: np.ndarray) -> np.ndarray:
    """Colour a grey image linearly. It is saturated everywhere, so that the tissue rule leaves nothing out.

    Args:
        grey: uint8 of any shape.

    Returns:
        uint8 RGB of the shape of `grey`, with a last axis of 3.
    """
    table = (BLACK + np.arange(256)[:, None] * (GAIN / 255)).round().astype(np.uint8)
    return table[grey]


def generate(
    settings: MegapixelSettings, digits: Path, folder: Path, progress: Callable[[int, int], None] | None = None
) -> Path:
    """Make the images that are missing, and labels.csv.

    Args:
        settings: What is drawn.
        digits: Folder of the digits.
        folder: Where the images go.
        progress: Called with (done, total).

    Returns:
        `folder`.

    Raises:
        UsageError: the digits cannot be read.
    """
    load_digits(digits)  # an error must come before anything is written
    folder.mkdir(parents=True, exist_ok=True)
    remove_leftovers(folder)
    todo = [i for i in range(settings.images) if not (folder / name_of(i)).is_file()]
    done = settings.images - len(todo)
    if todo:
        for _ in mapped(partial(write_one, settings, digits, folder), todo, os.cpu_count() or 1, chunksize=4):
            done += 1
            if progress:
                progress(done, settings.images)
    text = io.StringIO(newline="")
    writer = csv.writer(text)
    writer.writerow(["path", "label", "split", "annotation"])
    for i in range(settings.images):
        writer.writerow([name_of(i), str(i % 10), settings.split(i), name_of(i).replace(".tif", ".geojson")])
    write_bytes(folder / "labels.csv", text.getvalue().encode())
    return folder


def hash_settings(settings: MegapixelSettings, digits: Path) -> str:
    """Hash the digits and the settings, without the number of images, which may grow."""
    kept = {k: v for k, v in asdict(settings).items() if k != "images"}
    digest = hashlib.sha256(json.dumps(kept, sort_keys=True).encode())
    for part in load_digits(digits).values():
        for array in part:
            digest.update(array.tobytes())
    return digest.hexdigest()[:8]


def name_of(index: int) -> str:
    """Name the file of image `index`."""
    return f"image_{index:05d}.tif"


def write_one(settings: MegapixelSettings, digits: Path, folder: Path, index: int) -> None:
    """Write one image and the squares of the digits that decide. The image appears last, when it is complete."""
    cv2.setNumThreads(1)
    canvas, corners, _ = draw(settings, index, load_digits(digits)[settings.split(index)])
    features = []
    for x, y in corners:
        a, b = x + DIGIT_PX, y + DIGIT_PX
        ring = [[x, y], [a, y], [a, b], [x, b], [x, y]]
        geometry = {"type": "Polygon", "coordinates": [ring]}
        features.append({"type": "Feature", "geometry": geometry, "properties": {}})
    target = folder / name_of(index)
    outlines = {"type": "FeatureCollection", "features": features}
    write_bytes(target.with_suffix(".geojson"), json.dumps(outlines).encode())
    write_pyramid(tint(canvas), target, MPP, QUALITY)
