"""Micrometres per pixel, by the first rule that gives a believable value."""

from __future__ import annotations

from jsma.slides.types import SlideError

RULES = (
    "Aperio MPP",
    "OME PhysicalSizeX",
    "Philips pixel spacing",
    "openslide.mpp-x",
    "ImageJ unit",
    "TIFF XResolution",
    "objective power",
)
MPP_RANGE = (0.05, 20.0)
ANISOTROPY = 1.02  # more than this between x and y is refused: one mpp would be wrong for one of them


def choose_mpp(name: str, override: float | None, scales: dict[str, tuple[float, float]]) -> tuple[float, str]:
    """Choose the scale of a slide.

    Args:
        name: The file, for messages.
        override: Micrometres per level-0 pixel that the user gives, None for none.
        scales: Rule -> micrometres per level-0 pixel in x and y. The first of `RULES` within `MPP_RANGE` is taken.

    Returns:
        Micrometres per level-0 pixel, and the rule, "explicit" for the user's.

    Raises:
        SlideError: No rule gives a believable value, or pixels are not square.
    """
    if override is not None:
        return float(override), "explicit"
    for rule in (*RULES, *(own for own in scales if own not in RULES)):  # a reader may bring a rule of its own
        x, y = scales.get(rule, (0.0, 0.0))
        if not MPP_RANGE[0] <= x <= MPP_RANGE[1]:
            continue
        if max(x, y) > ANISOTROPY * min(x, y):
            raise SlideError(
                f"{name}: pixels are not square ({rule}: {x:.4g} by {y:.4g} micrometres, at most 2 % apart allowed); "
                "resample it, or give one value for both in the `mpp` column of the CSV"
            )
        return x, rule
    tried = ", ".join(f"{rule} {x:.4g}" for rule, (x, _) in scales.items()) or "nothing"
    raise SlideError(
        f"{name}: no micrometres per pixel (file gives {tried}; allowed {MPP_RANGE[0]:g}-{MPP_RANGE[1]:g}); "
        "give it in the `mpp` column of the CSV"
    )


def stated_mpp(name: str, scales: dict[str, tuple[float, float]]) -> tuple[float | None, str]:
    """Find what the file itself says, by the same rules; (None, "") where that is nothing that could be used."""
    try:
        return choose_mpp(name, None, scales)
    except SlideError:
        return None, ""
