"""Micrometres per pixel as vendors, OME and ImageJ write them."""

from __future__ import annotations

import numpy as np
import pytest
import tifffile

from jsma.slides import SlideError, open_slide
from jsma.slides.formats.descriptions import number, unit_um

FLAT = np.full((64, 96, 3), 120, np.uint8)


def save(path, description, **more):
    tifffile.imwrite(path, FLAT, photometric="rgb", tile=(64, 64), metadata=None, description=description, **more)
    return path


@pytest.mark.parametrize(
    "text, want",
    [
        ("AppMag = 40|MPP = 0,1725", 0.1725),
        ("AppMag = 40|MPP=0.1725", 0.1725),
        ("MPP = 1,725e-1|AppMag = 40", 0.1725),
        ("AppMag = 20,0", 0.5),
    ],
)
def test_aperio_with_a_decimal_comma(tmp_path, text, want):
    info = open_slide(save(tmp_path / "s.svs", f"Aperio Image Library v12\r\n96x64|{text}")).info
    assert info.mpp == pytest.approx(want)
    assert info.mpp_rule == ("Aperio MPP" if "MPP" in text else "objective power")


OME = {
    "entity": '<OME><Image><Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="&#181;m"/></Image></OME>',
    "hexadecimal entity": '<OME><Image><Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="&#xB5;m"/></Image></OME>',
    "greek mu": '<OME><Image><Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="\u03bcm"/></Image></OME>',
    "single quotes": "<OME><Image><Pixels PhysicalSizeX = '250' PhysicalSizeXUnit='nm'/></Image></OME>",
    "no unit": '<OME><Image><Pixels PhysicalSizeX="0.25"/></Image></OME>',
    "prefix": '<ome:OME xmlns:ome="http://www.openmicroscopy.org/Schemas/OME/2016-06"><ome:Image>'
    '<ome:Pixels PhysicalSizeX="0.00025" PhysicalSizeXUnit="mm"/></ome:Image></ome:OME>',
    "late": f'<?xml version="1.0" encoding="UTF-8"?><!-- {"words " * 500} --><OME><Image>'
    '<Pixels PhysicalSizeX="0.25"/></Image></OME>',
    "first page is the second image": '<OME><Image><Pixels PhysicalSizeX="9"><TiffData IFD="1"/></Pixels></Image>'
    '<Image><Pixels PhysicalSizeX="0.25"><TiffData IFD="0"/></Pixels></Image></OME>',
    "words": '<OME><Image><Pixels PhysicalSizeX="0.25" PhysicalSizeXUnit="micrometer"/></Image></OME>',
    "inch": '<OME><Image><Pixels PhysicalSizeX="0.00000984251968" PhysicalSizeXUnit="in"/></Image></OME>',
}


@pytest.mark.parametrize("kind", OME)
def test_ome_xml_is_parsed(tmp_path, kind):
    info = open_slide(save(tmp_path / "s.ome.tif", OME[kind].encode())).info
    assert (info.mpp, info.mpp_rule) == (pytest.approx(0.25), "OME PhysicalSizeX")


def test_ome_scale_that_says_nothing_is_not_guessed(tmp_path):
    for text in (
        '<OME><Image><Pixels PhysicalSizeX="1" PhysicalSizeXUnit="pixel"/></Image></OME>',
        '<OME><Image><Pixels PhysicalSizeX="0.25"></Image></OME>',
        '<!-- PhysicalSizeX="0.25" --><OME/>',
    ):
        with pytest.raises(SlideError, match="no micrometres per pixel"):
            open_slide(save(tmp_path / "s.tif", text))


def test_ome_magnification_is_that_of_the_image(tmp_path):
    objectives = "".join(f'<Objective ID="O:{n}" NominalMagnification="{n}0.0"/>' for n in (1, 4))
    image = '<Image><ObjectiveSettings ID="O:4"/><Pixels/></Image>'
    text = f"<OME><Instrument>{objectives}</Instrument>{image}</OME>"
    assert open_slide(save(tmp_path / "s.tif", text)).info.mpp == 0.25


@pytest.mark.parametrize(
    "text",
    [
        '<OME><Image><Pixels PhysicalSizeX="1" SizeC="4"/></Image></OME>',
        '<OME><Image><Pixels PhysicalSizeX="1" SizeZ="5" SizeC="3"/></Image></OME>',
        "ImageJ=1.54\nchannels=3\nunit=micron\n",
    ],
)
def test_stacks_are_refused(tmp_path, text):
    with pytest.raises(SlideError, match=r"several pictures \((channels|planes)"):
        open_slide(save(tmp_path / "s.tif", text), mpp=1.0)


@pytest.mark.parametrize("unit, per_unit", [("micron", 4), ("um", 4), ("\\u00B5m", 4), ("mm", 4000), ("nm", 0.004)])
def test_imagej_unit(tmp_path, unit, per_unit):
    path = save(tmp_path / "s.tif", f"ImageJ=1.54f\nunit={unit}\n", resolution=(per_unit, per_unit), resolutionunit=1)
    info = open_slide(path).info
    assert (info.mpp, info.mpp_rule) == (pytest.approx(0.25, rel=1e-3), "ImageJ unit")


def test_numbers_and_units():
    assert [number(t) for t in ("0,5", " 1.5e-1", "x", ".5", "1,234,5")] == [0.5, 0.15, 0, 0.5, 1.234]
    assert [unit_um(t) for t in ("m", "cm", "Mm", "pm", "microns", "millimetre", "metres", "Å")] == [
        1e6,
        1e4,
        0,
        1e-6,
        1,
        1e3,
        1e6,
        1e-4,
    ]
