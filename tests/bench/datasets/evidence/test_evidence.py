"""Every annotation format gives the same type in level-0 pixels; areas and points against values by hand."""

import json
import zipfile

import cv2
import numpy as np
import pytest
import tifffile

from bench.datasets.evidence import annotation_exists, check_annotation, kinds_of, load_evidence
from jsma.slides import SlideError
from tests.bench.datasets.layouts import SQUARE, aperio_xml, asap_xml

W, H = 512, 384
RING = [(150, 150), (200, 150), (200, 200), (150, 200)]  # a hole of 50 x 50 in SQUARE, which is 200 x 150
INSIDE, IN_HOLE, OUTSIDE = (110, 110), (175, 175), (400, 300)


def geojson(name="invasive"):
    rings = [[*SQUARE, SQUARE[0]], [*RING, RING[0]]]
    properties = {"objectType": "annotation", "classification": {"name": name, "color": [200, 0, 0]}}
    line = {
        "type": "Feature",
        "geometry": {"type": "LineString", "coordinates": [[0, 0], [400, 300]]},
        "properties": {},
    }
    feature = {"type": "Feature", "geometry": {"type": "Polygon", "coordinates": rings}, "properties": properties}
    return {"type": "FeatureCollection", "features": [feature, line]}


def raster(step):
    mask = np.zeros((H, W), np.uint8)
    mask[100:250, 100:300] = 1
    mask[150:200, 150:200] = 0
    return mask[::step, ::step]


def write(tmp_path, kind):
    """(path, scheme) of SQUARE without RING in each format."""
    if kind == "aperio":
        (tmp_path / "a.xml").write_text(aperio_xml([("Carcinoma invasive", SQUARE)], hole=RING))
        return tmp_path / "a.xml", "bach"
    if kind == "aperio, label in the annotation":
        (tmp_path / "a.xml").write_text(aperio_xml([("Invasive carcinoma", SQUARE)], "attribute", hole=RING))
        return tmp_path / "a.xml", "bach"
    if kind == "asap":
        (tmp_path / "a.xml").write_text(asap_xml([("_0", SQUARE), ("_2", RING)]))
        return tmp_path / "a.xml", "camelyon16"
    if kind == "asap, named groups":
        (tmp_path / "a.xml").write_text(asap_xml([("Tumor", SQUARE), ("Exclusion", RING)]))
        return tmp_path / "a.xml", "camelyon16"
    if kind == "asap in its zip":
        with zipfile.ZipFile(tmp_path / "lesion_annotations.zip", "w") as zipped:
            zipped.writestr("lesion_annotations/a.xml", asap_xml([("_1", SQUARE), ("_2", RING)]))
        return tmp_path / "lesion_annotations.zip" / "a.xml", "camelyon16"
    if kind == "geojson":
        (tmp_path / "a.geojson").write_text(json.dumps(geojson()))
        return tmp_path / "a.geojson", None
    if kind == "panda":
        pixels = np.zeros((H, W, 3), np.uint8)
        pixels[..., 0] = raster(1) * 2
        with tifffile.TiffWriter(tmp_path / "a_mask.tiff") as tif:
            for step in (1, 4, 16):
                tif.write(
                    pixels[::step, ::step],
                    photometric="rgb",
                    tile=(128, 128),
                    compression="lzw",
                    subfiletype=int(step > 1),
                    metadata=None,
                )
        return tmp_path / "a_mask.tiff", "panda-karolinska"
    cv2.imwrite(str(tmp_path / "a.png"), raster(2) * 2)
    return tmp_path / "a.png", "demo"


KINDS = {
    "aperio": "invasive",
    "aperio, label in the annotation": "invasive",
    "asap": "tumor",
    "asap, named groups": "tumor",
    "asap in its zip": "tumor",
    "geojson": "invasive",
    "panda": "cancer",
    "png of bits": "cytology",
}


@pytest.mark.parametrize("kind", KINDS)
def test_every_format_gives_one_type(kind, tmp_path):
    path, scheme = write(tmp_path, kind)
    assert annotation_exists(str(path))
    evidence = load_evidence(str(path), W, H, scheme)
    assert set(evidence.areas) == {KINDS[kind]}
    area = evidence.areas[KINDS[kind]]
    assert area.is_valid and area.geom_type == "MultiPolygon"
    assert sum(len(p.interiors) for p in area.geoms) == 1, "the hole stays a hole"
    assert area.area == pytest.approx(200 * 150 - 50 * 50, rel=0.02 if scheme == "demo" else 1e-4)
    assert evidence.contains(np.array([INSIDE, IN_HOLE, OUTSIDE])).tolist() == [True, False, False]
    assert evidence.contains(np.array([INSIDE]), "another").tolist() == [False]
    assert evidence.union.area == pytest.approx(27500, rel=0.02)
    assert not evidence.empty and evidence.outside == 0


def test_bach_labels_are_told_in_any_spelling(tmp_path):
    regions = [("Benign", SQUARE), ("carcinoma IN SITU", RING), ("Invasive", SQUARE), ("necrosis", RING)]
    (tmp_path / "a.xml").write_text(aperio_xml(regions))
    assert kinds_of(str(tmp_path / "a.xml"), "bach") == {"benign", "in situ", "invasive", "necrosis"}


def test_panda_schemes_keep_cancer_only(tmp_path):
    mask = np.zeros((H, W, 3), np.uint8)
    for value in range(1, 6):
        mask[60 * value : 60 * value + 30, 100:200, 0] = value
    tifffile.imwrite(tmp_path / "m_mask.tiff", mask, photometric="rgb")
    radboud = load_evidence(str(tmp_path / "m_mask.tiff"), W, H, "panda-radboud")
    karolinska = load_evidence(str(tmp_path / "m_mask.tiff"), W, H, "panda-karolinska")
    assert set(radboud.areas) == {"pattern 3", "pattern 4", "pattern 5"}
    assert set(karolinska.areas) == {"cancer"}
    assert all(a.area == pytest.approx(3000) for a in (*radboud.areas.values(), *karolinska.areas.values()))


def test_a_mask_is_stretched_over_the_slide(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), raster(1))
    evidence = load_evidence(str(tmp_path / "m.png"), W * 16, H * 16)
    assert evidence.union.area == pytest.approx(27500 * 256, rel=1e-4)
    assert evidence.union.bounds == (1600, 1600, 4800, 4000)


def test_single_pixels_and_lines_of_a_mask_have_their_area(tmp_path):
    mask = np.zeros((32, 32), np.uint8)
    mask[4, 4] = mask[10, 10:15] = 1
    mask[20:22, 20:22] = 1
    cv2.imwrite(str(tmp_path / "m.png"), mask)
    assert load_evidence(str(tmp_path / "m.png"), 32, 32).union.area == pytest.approx(1 + 5 + 4)


def test_crossing_outlines_are_mended(tmp_path):
    bow = [(100, 100), (200, 200), (200, 100), (100, 200)]
    (tmp_path / "a.xml").write_text(asap_xml([("_0", bow), ("_0", [(1, 1), (2, 2)])]))
    evidence = load_evidence(str(tmp_path / "a.xml"), W, H, "camelyon16")
    assert evidence.union.is_valid and evidence.union.area == pytest.approx(5000)


def test_annotations_of_another_slide_are_told(tmp_path):
    (tmp_path / "a.xml").write_text(asap_xml([("_0", [(400, 0), (624, 0), (624, 100), (400, 100)])]))
    evidence = load_evidence(str(tmp_path / "a.xml"), W, H, "camelyon16")
    assert evidence.outside == pytest.approx(0.5)
    assert evidence.union.bounds == (400, 0, 512, 100)


BROKEN = {
    "a.xml": ("<Annotations><Annotation>", "not readable XML"),
    "b.xml": ("<svg/>", "root element 'svg'"),
    "c.xml": (
        "<Annotations><Annotation><Regions><Region><Vertices><Vertex X='1'/></Vertices></Region></Regions>"
        "</Annotation></Annotations>",
        "region 1: coordinate nan",
    ),
    "d.geojson": ("[1, 2", "not readable GeoJSON"),
    "e.geojson": ('{"features": [{"geometry": {"type": "Polygon", "coordinates": [[[1]]]}}]}', "feature 1: a point"),
    "f.png": ("not a picture", "of no known format"),
    "g_mask.tiff": ("II*\0not a TIFF", "cannot be read"),
    "h.txt": ("x", "annotations are read from"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_broken_annotations_get_one_line(name, tmp_path):
    text, words = BROKEN[name]
    (tmp_path / name).write_text(text)
    with pytest.raises(SlideError) as error:
        load_evidence(str(tmp_path / name), W, H)
    assert words in str(error.value) and name in str(error.value) and "\n" not in str(error.value)


def test_missing_annotation_and_unknown_scheme(tmp_path):
    assert not annotation_exists(str(tmp_path / "a.xml"))
    with pytest.raises(SlideError, match="cannot be read"):
        load_evidence(str(tmp_path / "a.xml"), W, H)
    with pytest.raises(SlideError, match="unknown scheme 'nope'"):
        load_evidence(str(tmp_path / "a.xml"), W, H, "nope")


FINDINGS = {
    "missing": (None, "is not there"),
    "broken": ('{"features": [', "not readable GeoJSON"),
    "only a line": ('{"type": "LineString", "coordinates": [[0, 0], [9, 9]]}', "encloses evidence"),
    "of another slide": ('{"type": "Polygon", "coordinates": [[[900, 900], [950, 900], [950, 950]]]}', "100% of the"),
    "right": ('{"type": "Polygon", "coordinates": [[[100, 100], [150, 100], [150, 150]]]}', None),
}


@pytest.mark.parametrize("name", FINDINGS)
def test_a_useless_annotation_is_told_in_one_line(name, tmp_path):
    text, words = FINDINGS[name]
    path = tmp_path / "a.geojson"
    if text is not None:
        path.write_text(text)
    finding = check_annotation(str(path), W, H)
    if words is None:
        assert finding is None
    else:
        assert finding is not None and words in finding and "a.geojson" in finding and "\n" not in finding


def test_a_mask_that_is_background_everywhere_is_right(tmp_path):
    cv2.imwrite(str(tmp_path / "m.png"), np.zeros((H, W), np.uint8))
    assert check_annotation(str(tmp_path / "m.png"), W, H) is None
