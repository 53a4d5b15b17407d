"""What is wrong with an annotation, in one line, before anything is trained on its slide."""

from __future__ import annotations

from bench.datasets.evidence.files import annotation_exists, is_mask
from bench.datasets.evidence.load import load_evidence
from jsma.slides import SlideError

OUTSIDE = 0.05  # share of an annotation that may overhang the slide


def check_annotation(path: str, width0_px: int, height0_px: int, scheme: str | None = None) -> str | None:
    """Check an annotation as a run will read it.

    A mask that is background everywhere is right: nothing was found on its slide.

    Args:
        path: The annotation.
        width0_px: Width of the slide, level-0 pixels.
        height0_px: Height of the slide, level-0 pixels.
        scheme: Name in `SCHEMES`.

    Returns:
        One line where it is missing, not readable, of another slide, or an outline file that encloses nothing; None
        where nothing is wrong.
    """
    if not annotation_exists(path):
        return f"{path}: the annotation is not there; correct the path, or leave its cell empty"
    try:
        evidence = load_evidence(path, width0_px, height0_px, scheme)
    except SlideError as error:
        return str(error)
    if evidence.outside > OUTSIDE:
        return (
            f"{path}: {evidence.outside:.0%} of the annotated area lies outside the slide ({width0_px} x {height0_px} "
            "px); coordinates are in pixels of level 0: is it this slide's?"
        )
    if evidence.empty and not is_mask(path):
        held = [f"{evidence.outlines} of labels that are no evidence"] if evidence.outlines else []
        held += [f"{evidence.skipped} points, lines or empty objects"] if evidence.skipped else []
        return (
            f"{path}: no outline in it encloses evidence ({' and '.join(held) or 'it holds no object'}); export the "
            "regions as polygons, or leave the cell empty where nothing is annotated"
        )
    return None
