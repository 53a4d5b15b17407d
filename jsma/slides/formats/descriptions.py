"""What the texts in a TIFF say: the lines of Aperio and ImageJ, the XML of OME and Philips."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from xml.etree import ElementTree

Scale = tuple[float, float]  # micrometres per pixel in x and y
_METRE_UM = {"": 1e6, "d": 1e5, "c": 1e4, "m": 1e3, "µ": 1.0, "u": 1.0, "n": 1e-3, "p": 1e-6}
_METRE_WORDS = {"deci": "d", "centi": "c", "milli": "m", "micro": "µ", "nano": "n", "pico": "p", "": ""}
_OTHER_UM = {
    "micron": 1.0,
    "microns": 1.0,
    "å": 1e-4,
    "ångström": 1e-4,
    "angstrom": 1e-4,
    "in": 25400.0,
    "inch": 25400.0,
    "inches": 25400.0,
    "\\u00b5m": 1.0,
    "thou": 25.4,
    "mil": 25.4,
}
OVERLAPPING = ("Trestle", "Ventana")  # scanners whose TIFFs have tiles that overlap


@dataclass(frozen=True)
class Described:
    """What the description of a TIFF says.

    Attributes:
        mpp: Rule -> micrometres per level-0 pixel in x and y.
        vendor: Who wrote the file.
        spacings: Per level, spacing in x and y by Philips' XML; None if it is not such a file.
        stack: What makes the file more than one flat picture, "" if nothing does.
    """

    mpp: dict[str, Scale]
    vendor: str
    spacings: tuple[Scale, ...] | None
    stack: str


def number(text: object) -> float:
    """Find the number in a text, with a point or a decimal comma; 0 where there is none."""
    match = re.match(r"\s*[-+]?(\d+[.,]?\d*|[.,]\d+)([eE][-+]?\d+)?", str(text))
    return float(match[0].replace(",", ".")) if match else 0.0


def unit_um(text: str) -> float:
    """Say how many micrometres a unit of length has, as OME and ImageJ spell it; 0 for any other unit."""
    unit = text.strip().replace("\u03bc", "µ")
    if unit.endswith("m") and (size := _METRE_UM.get(unit[:-1])):
        return size
    low = unit.lower()
    if match := re.fullmatch(r"(\w*?)met(?:re|er)s?", low):
        return _METRE_UM[_METRE_WORDS[match[1]]] if match[1] in _METRE_WORDS else 0.0
    return _OTHER_UM.get(low, 0.0)


def describe(tif: Any) -> Described:
    """Read the description of page 0."""
    page = tif.pages[0]
    if overlapping := _overlapping(page):
        return Described({}, overlapping, None, "")
    text = str(page.description or "").strip("\ufeff \r\n\t\0")
    if text.startswith("Aperio"):
        return Described(_aperio(text), "Aperio", None, "")
    if text.startswith("ImageJ="):
        return _imagej(text, page)
    root = _xml(text)
    name = "" if root is None else _local(root.tag)
    if root is not None and name == "OME":
        return _ome(root, page)
    if root is not None and name == "DataObject":
        spacings = _philips(root)
        mpp = {"Philips pixel spacing": (spacings[0][0] * 1e3, spacings[0][1] * 1e3)} if spacings else {}
        return Described(mpp, "Philips", spacings, "")
    return Described(_power(re.search(r"\bAppMag\s*=\s*([\d.,]+)", text)), "generic", None, "")


def _overlapping(page: Any) -> str:
    """Name the scanner, if its TIFFs have tiles that overlap, by the signs that OpenSlide uses; "" for any other."""
    if page.is_tiled and str(page.software or "").startswith("MedScan"):
        return "Trestle"
    xmp = page.tags.get(700)
    return "Ventana" if xmp is not None and b"<iScan" in bytes(xmp.value) else ""


def _aperio(text: str) -> dict[str, Scale]:
    found = _power(re.search(r"\bAppMag\s*=\s*([\d.,]+)", text))
    if match := re.search(r"\bMPP\s*=\s*([\d.,]+(?:[eE][-+]?\d+)?)", text):
        found["Aperio MPP"] = (number(match[1]), number(match[1]))
    return found


def _power(match: re.Match[str] | None) -> dict[str, Scale]:
    power = number(match[1]) if match else 0.0
    return {"objective power": (10.0 / power, 10.0 / power)} if power > 0 else {}


def _imagej(text: str, page: Any) -> Described:
    said = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    many = [f"{key} {said[key]}" for key in ("channels", "slices", "frames") if number(said.get(key, 1)) > 1]
    x_um, y_um = unit_um(said.get("unit", "")), unit_um(said.get("yunit", said.get("unit", "")))
    x, y = per_unit(page.tags, "XResolution"), per_unit(page.tags, "YResolution")
    mpp = {"ImageJ unit": (x_um / x, y_um / (y or x))} if x and x_um and y_um else {}
    return Described(mpp, "ImageJ", None, ", ".join(many))


def per_unit(tags: Any, name: str) -> float:
    """Read the pixels per unit of a TIFF resolution tag; 0 where it says nothing."""
    top, bottom = tags[name].value if name in tags else (0, 0)
    return top / bottom if top > 0 and bottom > 0 else 0.0


def _xml(text: str) -> ElementTree.Element | None:
    """Parse a text that is XML; expat limits how large entities can grow, and it fetches none."""
    if not text.startswith("<"):
        return None
    try:
        return ElementTree.fromstring(text)
    except ElementTree.ParseError:
        return ElementTree.Element("DataObject") if "DPUfsImport" in text[:2000] else None


def _local(tag: str) -> str:
    return tag.rsplit("}", 1)[-1]


def _children(element: ElementTree.Element, name: str) -> Iterator[ElementTree.Element]:
    return (child for child in element if _local(child.tag) == name)


def _ome(root: ElementTree.Element, page: Any) -> Described:
    images = [(image, pixels) for image in _children(root, "Image") for pixels in _children(image, "Pixels")]
    if not images:
        return Described({}, "OME", None, "")
    image, pixels = next(((i, p) for i, p in images if _holds_first_page(p)), images[0])
    x, y = (_ome_um(pixels, axis) for axis in "XY")
    mpp = {"OME PhysicalSizeX": (x, y or x)} if x else {}
    settings = {ref.get("ID") for ref in _children(image, "ObjectiveSettings")}
    objectives = [one for one in root.iter() if _local(one.tag) == "Objective"]
    mine = [one for one in objectives if one.get("ID") in settings] or objectives
    powers = [number(one.get("NominalMagnification", 0)) for one in mine]
    if powers and powers[0] > 0:
        mpp["objective power"] = (10.0 / powers[0], 10.0 / powers[0])
    sizes = {axis: int(number(pixels.get(f"Size{axis}", 1)) or 1) for axis in "CZT"}
    sizes["C"] = sizes["C"] if sizes["C"] != int(page.samplesperpixel) else 1
    names = {"C": "channels", "Z": "planes in z", "T": "points in time"}
    return Described(mpp, "OME", None, ", ".join(f"{names[a]} {n}" for a, n in sizes.items() if n > 1))


def _holds_first_page(pixels: ElementTree.Element) -> bool:
    return any(int(number(data.get("IFD", 0))) == 0 for data in _children(pixels, "TiffData"))


def _ome_um(pixels: ElementTree.Element, axis: str) -> float:
    return number(pixels.get(f"PhysicalSize{axis}", 0)) * unit_um(pixels.get(f"PhysicalSize{axis}Unit", "µm"))


def _philips(root: ElementTree.Element) -> tuple[Scale, ...]:
    """DICOM_PIXEL_SPACING (row, then column; millimetres) of every level of the slide, the finest first."""
    for image in root.iter("DataObject"):
        said = _attributes(image)
        if said.get("PIM_DP_IMAGE_TYPE", "").strip() != "WSI":
            continue
        levels = [
            _attributes(level)
            for level in image.iter("DataObject")
            if level.get("ObjectType") == "PixelDataRepresentation"
        ]
        numbered = sorted(
            enumerate(levels), key=lambda pair: number(pair[1].get("PIIM_PIXEL_DATA_REPRESENTATION_NUMBER", pair[0]))
        )
        found = [re.findall(r"[\d.,]+(?:[eE][-+]?\d+)?", level.get("DICOM_PIXEL_SPACING", "")) for _, level in numbered]
        spacings = [(number(text[1]), number(text[0])) for text in found if len(text) == 2]
        if spacings and len(spacings) == len(levels) and min(min(pair) for pair in spacings) > 0:
            return tuple(spacings)
        both = re.findall(r"[\d.,]+(?:[eE][-+]?\d+)?", said.get("DICOM_PIXEL_SPACING", ""))
        if len(both) == 2 and min(map(number, both)) > 0:
            return ((number(both[1]), number(both[0])),)
    return ()


def _attributes(element: ElementTree.Element) -> dict[str, str]:
    return {child.get("Name", ""): child.text or "" for child in element if child.tag == "Attribute"}
