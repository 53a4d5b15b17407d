"""Outlines of QuPath, ASAP, ImageScope and HALO against areas by hand and points told inside by angles."""

import gzip
import json
import time

import numpy as np
import pytest

from bench.datasets.evidence import check_annotation, kinds_of, load_evidence
from jsma.slides import SlideError

W, H = 512, 384
SQUARE = [[100, 100], [300, 100], [300, 250], [100, 250]]  # 200 x 150
HOLE = [[150, 150], [200, 150], [200, 200], [150, 200]]  # 50 x 50
ISLAND = [[160, 160], [180, 160], [180, 180], [160, 180]]  # 20 x 20 in the hole


def closed(ring):
    return [*ring, ring[0]]


def feature(geometry, **properties):
    return {"type": "Feature", "geometry": geometry, "properties": properties}


def of_type(kind, coordinates):
    return {"type": kind, "coordinates": coordinates}


def saved(tmp_path, document, name="a.geojson"):
    text = document if isinstance(document, str) else json.dumps(document)
    (tmp_path / name).write_bytes(gzip.compress(text.encode()) if name.endswith("gz") else text.encode())
    return str(tmp_path / name)


def layer(*regions, tag="V", name="Tumor"):
    """One annotation of regions (type, points, attributes) as HALO (V) or ImageScope (Vertex) writes it."""
    inner = "".join(
        f'<Region Type="{kind}" {more}><Vertices>{"".join(f"<{tag} X={x!r} Y={y!r}/>" for x, y in points)}'
        "</Vertices></Region>"
        for kind, points, more in [(str(r[0]), [(str(x), str(y)) for x, y in r[1]], "".join(r[2:])) for r in regions]
    )
    return f'<Annotation Name="{name}"><Regions>{inner}</Regions></Annotation>'


def vendor(tmp_path, *layers, name="a.xml"):
    return saved(tmp_path, f"<Annotations>{''.join(layers)}</Annotations>", name)


PLAIN = of_type("Polygon", [closed(SQUARE), closed(HOLE)])
GEOJSON = {
    "a collection": {"type": "FeatureCollection", "features": [feature(PLAIN)]},
    "a list": [feature(PLAIN)],
    "a feature": feature(PLAIN),
    "a bare geometry": PLAIN,
    "several polygons": feature(of_type("MultiPolygon", [[closed(SQUARE), closed(HOLE)], [closed(HOLE)]])),
    "a geometry without": [{"type": "Feature", "geometry": None, "properties": {}}, feature(PLAIN)],
    "nested collections": feature(
        {
            "type": "GeometryCollection",
            "geometries": [of_type("Point", [1, 1]), {"type": "GeometryCollection", "geometries": [PLAIN]}],
        }
    ),
    "three coordinates": feature(of_type("Polygon", [[[*p, 7] for p in closed(SQUARE)], [[*p, 7] for p in HOLE]])),
    "not closed": feature(of_type("Polygon", [SQUARE, HOLE])),
}


@pytest.mark.parametrize("name", ["a.geojson", "a.json", "a.geojson.gz", "exported.txt"])
@pytest.mark.parametrize("shape", GEOJSON)
def test_geojson_of_every_shape(shape, name, tmp_path):
    evidence = load_evidence(saved(tmp_path, GEOJSON[shape], name), W, H)
    held = 30_000 if shape == "several polygons" else 27_500
    assert evidence.union.area == pytest.approx(held) and evidence.union.is_valid
    assert evidence.skipped == (shape == "a geometry without")


LABELS = {
    "tumor": {"classification": {"name": "Tumor", "color": [1, 2, 3]}, "name": "left", "isLocked": True},
    "cd3: cd8": {"classification": {"names": ["CD3", "CD8"]}},
    "stroma": {"classification": "Stroma"},
    "left": {"name": "left"},
    "3": {"name": 3},
    "region": {"classification": None, "name": None},
}


@pytest.mark.parametrize("kind", LABELS)
def test_labels_as_qupath_writes_them(kind, tmp_path):
    path = saved(tmp_path, feature(PLAIN, **LABELS[kind]))
    assert kinds_of(path) == {kind}
    assert set(load_evidence(path, W, H).areas) == {kind}


@pytest.mark.parametrize(("tag", "kind"), [("Vertex", "2"), ("V", "Ellipse")])
def test_an_ellipse_is_told_by_two_corners(tag, kind, tmp_path):
    path = vendor(tmp_path, layer((kind, [(300, 250), (100, 150)]), tag=tag))
    area = load_evidence(path, W, H).areas["tumor"]
    assert area.area == pytest.approx(np.pi * 100 * 50, rel=1e-6)
    assert area.bounds == pytest.approx((100, 150, 300, 250), abs=0.1)
    y, x = np.mgrid[0:H, 0:W] + 0.5
    by_equation = ((x - 200) / 100) ** 2 + ((y - 200) / 50) ** 2 <= 1
    evidence = load_evidence(path, W, H)
    inside = evidence.contains(np.column_stack([x.ravel(), y.ravel()])).reshape(H, W)
    assert (inside != by_equation).sum() <= 8


@pytest.mark.parametrize(
    ("tag", "kind", "points"),
    [
        ("V", "Rectangle", [(100, 100), (300, 250)]),
        ("Vertex", "1", SQUARE),
        ("V", "Polygon", SQUARE),
        ("Vertex", "0", SQUARE),
    ],
)
def test_rectangles_and_polygons_of_halo_and_imagescope(tag, kind, points, tmp_path):
    path = vendor(tmp_path, layer((kind, points), ("Ruler", points), ("4", points), tag=tag), name="a.annotations")
    evidence = load_evidence(path, W, H)
    assert evidence.areas["tumor"].area == 30_000 and evidence.skipped == 2


def test_a_negative_region_cuts_its_own_annotation_and_leaves_islands(tmp_path):
    cut = ("Polygon", HOLE, 'NegativeROA="1"')
    path = vendor(
        tmp_path, layer(("Polygon", SQUARE), cut, ("Polygon", ISLAND)), layer(("Polygon", HOLE), name="Necrosis")
    )
    areas = load_evidence(path, W, H).areas
    assert areas["tumor"].area == 30_000 - 2_500 + 400
    assert areas["necrosis"].area == 2_500


def asap(kind, points, number=str):
    inner = "".join(f'<Coordinate Order="{k}" X="{number(x)}" Y="{number(y)}"/>' for k, (x, y) in enumerate(points))
    return (
        f'<ASAP_Annotations><Annotations><Annotation Type="{kind}" PartOfGroup="_0"><Coordinates>{inner}'
        "</Coordinates></Annotation></Annotations></ASAP_Annotations>"
    )


def test_asap_with_a_decimal_comma(tmp_path):
    shifted = [(x + 0.5, y) for x, y in SQUARE]
    path = saved(tmp_path, asap("Polygon", shifted, lambda v: str(float(v)).replace(".", ",")), "a.xml")
    assert load_evidence(path, W, H).union.bounds == (100.5, 100, 300.5, 250)


@pytest.mark.parametrize("kind", ["PointSet", "Dot", "Measurement"])
def test_points_of_asap_enclose_nothing(kind, tmp_path):
    finding = check_annotation(saved(tmp_path, asap(kind, SQUARE), "a.xml"), W, H)
    assert finding is not None and "1 points, lines or empty objects" in finding


def deep(before, after, times=200_000):
    return before * times + after * times


REFUSED = {
    "nan.xml": (asap("Polygon", [("nan", 1), *SQUARE]), "region 1: coordinate nan"),
    "inf.xml": (
        "<Annotations>" + layer(("0", SQUARE), ("0", [*SQUARE, ("-inf", 1)])) + "</Annotations>",
        "region 2: coordinate -inf",
    ),
    "far.geojson": (
        json.dumps([feature(PLAIN), feature(of_type("Polygon", [[[0, 0], [1e30, 0], [1, 1]]]))]),
        "feature 2: coordinate 1e+30",
    ),
    "nan.geojson": ('{"type": "Polygon", "coordinates": [[[0, 0], [NaN, 0], [1, 1]]]}', "feature 1: coordinate nan"),
    "words.geojson": ('{"type": "Polygon", "coordinates": [[["a", 0], [1, 0], [1, 1]]]}', "feature 1: coordinates"),
    "number.geojson": ("[1]", "feature 1"),
    "deep.geojson": (deep("[", "]"), "nested too deeply"),
    "nested.geojson": (deep('{"type": "GeometryCollection", "geometries": [', "]}", 900), "nested too deeply"),
    "coco.json": ('{"images": [], "annotations": []}', "no GeoJSON (it holds images, annotations)"),
    "entity.xml": ('<!DOCTYPE a [<!ENTITY b "c">]><Annotations/>', "entities"),
    "other.xml": ("<annotation/>", "root element 'annotation'"),
    "objects.db": ("SQLite format 3\0", "an SQLite database; annotations are read from GeoJSON"),
    "empty.geojson": ("", "an empty file"),
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_no_outline_file_is_refused_with_the_reason(name, tmp_path):
    text, words = REFUSED[name]
    with pytest.raises(SlideError) as error:
        load_evidence(saved(tmp_path, text, name), W, H)
    assert words in str(error.value) and name in str(error.value) and "\n" not in str(error.value)
    assert check_annotation(str(tmp_path / name), W, H) == str(error.value)


def turns(ring, points):
    """How often a ring goes around points: the sum of the angles that its sides are seen under."""
    to = ring[None] - points[:, None]
    angle = np.arctan2(to[..., 1], to[..., 0])
    step = np.diff(np.concatenate([angle, angle[:, :1]], axis=1), axis=1)
    return np.rint(((step + np.pi) % (2 * np.pi) - np.pi).sum(axis=1) / (2 * np.pi)).astype(int)


def test_a_ring_that_crosses_itself_encloses_what_it_goes_around(tmp_path):
    rng = np.random.default_rng(0)
    star = [[200 + 150 * np.cos(a), 190 + 150 * np.sin(a)] for a in 4 * np.pi / 5 * np.arange(5)]
    for ring in (star, [[100, 100], [300, 300], [300, 100], [100, 300]], rng.uniform(10, 370, (100, 2)).tolist()):
        start = time.perf_counter()
        evidence = load_evidence(saved(tmp_path, of_type("Polygon", [ring])), W, H)
        load_evidence.cache_clear()
        assert time.perf_counter() - start < 3  # some 1,200 crossings; seconds by shapely's make_valid
        points = rng.uniform(0, 380, (2000, 2))
        assert evidence.union.is_valid
        assert np.array_equal(evidence.contains(points), turns(np.array(ring), points) != 0)


def test_a_scribble_is_refused_in_no_time(tmp_path):
    ring = np.random.default_rng(0).uniform(0, 380, (2000, 2)).tolist()
    start = time.perf_counter()
    with pytest.raises(SlideError, match="feature 1: the outline crosses itself more than 10000 times"):
        load_evidence(saved(tmp_path, of_type("Polygon", [ring])), W, H)
    assert time.perf_counter() - start < 5
