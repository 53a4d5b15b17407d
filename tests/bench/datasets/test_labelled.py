"""A table of one's own slides as spreadsheets, other systems and slips make it: read, or refused in one line."""

import os

import pytest

from bench.datasets.labelled import is_table, load
from bench.errors import UsageError
from bench.text_files import read_rows

PLAIN = "path,label,patient,mpp\ns/a.tif,x,p1,0.5\ns/b.tif,y,p2,0.25\n"
WRITTEN = {
    "plain": PLAIN.encode(),
    "byte order mark": PLAIN.encode("utf-8-sig"),
    "UTF-16": PLAIN.encode("utf-16"),
    "UTF-16 without mark": PLAIN.encode("utf-16-le"),
    "semicolons and decimal commas": PLAIN.replace(",", ";").replace(".5", ",5").replace(".25", ",25").encode(),
    "tabs": PLAIN.replace(",", "\t").encode(),
    "Excel's first line": b"sep=;\r\n" + PLAIN.replace(",", ";").replace("\n", "\r\n").encode(),
    "capitals": PLAIN.replace("path,label,patient", "Path,LABEL,Patient").encode(),
    "other names": PLAIN.replace("path,label,patient", "Slide,label,case_id").encode(),
    "patients": PLAIN.replace("patient", "patients").encode(),
    "patient id": PLAIN.replace("patient", "Patient ID").encode(),
    "blanks": PLAIN.replace(",", " , ").encode(),
    "Excel's empty rows": (PLAIN.replace("\n", ",,\r\n") + ",,,,,\r\n\r\n,,,,,\r\n").encode(),
    "rows before the header": b"\n,,,\n" + PLAIN.encode(),
    "old Mac": PLAIN.replace("\n", "\r").encode(),
    "pandas' index": b",path,label,patient,mpp\n0,s/a.tif,x,p1,0.5\n1,s/b.tif,y,p2,0.25\n",
    "Windows paths": PLAIN.replace("/", "\\").encode(),
    "columns of one's own": PLAIN.replace("\n", ",7\n").replace("mpp,7", "mpp,stain").encode(),
}


@pytest.mark.parametrize("how", WRITTEN)
def test_what_spreadsheets_write_is_read(how, tmp_path, capsys):
    (tmp_path / "labels.csv").write_bytes(WRITTEN[how])
    records = load(tmp_path / "labels.csv").records
    assert [(r.id, r.label, r.patient, r.mpp) for r in records] == [
        ("s/a.tif", "x", "p1", 0.5),
        ("s/b.tif", "y", "p2", 0.25),
    ]
    assert [r.path for r in records] == [str(tmp_path / "s" / "a.tif"), str(tmp_path / "s" / "b.tif")]
    said = {
        "other names": "columns taken: Slide as path, case_id as patient",
        "columns of one's own": "ignored: stain",
        "patients": "taken: patients as patient",
        "patient id": "taken: Patient ID as patient",
    }
    err = capsys.readouterr().err
    assert said.get(how, "") in err and len(err.splitlines()) == (how in said)


def test_windows_1252_is_read_and_said(tmp_path, capsys):
    (tmp_path / "labels.csv").write_bytes("path,label\nä.tif,größer\nb.tif,kleiner\n".encode("cp1252"))
    assert load(tmp_path / "labels.csv").classes == ("größer", "kleiner")
    assert "Windows-1252" in capsys.readouterr().err


def test_upper_case_names_and_parts(tmp_path):
    path = tmp_path / "LABELS.CSV"
    path.write_text("path,label,split\na.tif,x,Train\nb.tif,y,VALIDATION\nc.tif,y,test\n")
    assert is_table(str(path)) and not is_table("bach")
    dataset = load(path)
    assert dataset.name == tmp_path.name and [r.split for r in dataset.records] == ["train", "val", "test"]


def test_a_name_that_repeats_has_its_line(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label\na.tif,x\na.tif,y\n")
    assert [r.id for r in load(tmp_path / "labels.csv").records] == ["a.tif", "a.tif (line 3)"]


def test_home_and_backslashes_that_are_names(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    (tmp_path / "odd\\name.tif").touch()
    (tmp_path / "labels.csv").write_text("path,label\n~/a.tif,x\nodd\\name.tif,y\n")
    records = load(tmp_path / "labels.csv").records
    assert records[0].path == str(tmp_path / "a.tif") and os.path.isfile(records[1].path)


REFUSED = {
    "a slip in a name": ("path,label,pateint\n", "line 1: unknown column 'pateint', probably patient"),
    "a slip in a needed name": ("paht,label\n", "line 1: unknown column 'paht', probably path"),
    "annotation": ("path,label,anotation\n", "probably annotation"),
    "no label": ("path,diagnosis\n", "line 1: column label missing, got path,diagnosis"),
    "two columns for one": ("path,label,case_id,patient_id\n", "columns case_id and patient_id would all be patient"),
    "one column twice": ("path,label,label\n", "columns label and label would all be label"),
    "empty file": ("", "got an empty file"),
    "blank file": ("\n\n,,\n", "got an empty file"),
    "unquoted comma": ("path,label,patient\na.tif,x,p\nb, c.tif,y,p\n", "line 3: 4 values where the header has 3"),
    "quote": ('path,label\n"a.tif,x\n', "not readable as CSV"),
    "quote in the middle": ('path,label\na.tif,x\n"b"c.tif,y\n', "line 3"),
    "empty label": ("path,label\na.tif,x\n\nb.tif,\n", "line 4: label is empty"),
    "empty split": ("path,label,split\na,x,train\nb,y,\nc,y,test\n", "line 3: split is empty, and 2 of 3 lines"),
    "empty fold": ("path,label,fold\na,x,\nb,y,0\n", "line 2: fold is empty, and 1 of 2 lines"),
    "split and fold": ("path,label,split,fold\na,x,train,0\nb,y,test,1\n", "both split and fold"),
    "split": ("path,label,split\na,x,trian\n", "line 2: split 'trian'; allowed: train, val, test"),
    "fold": ("path,label,fold\na,x,-1\n", "line 2: fold '-1'"),
    "half a fold": ("path,label,fold\na,x,.5\n", "line 2: fold '.5'"),
    "mpp": ("path,label,mpp\na,x,half\n", "line 2: mpp 'half' is no number"),
    "no mpp": ("path,label,mpp\na,x,nan\n", "line 2: mpp 'nan' is not finite"),
    "mpp 0": ("path,label,mpp\na,x,0\n", "line 2: mpp '0'; micrometres per pixel must be above 0"),
    "another computer": ("path,label\nC:\\slides\\a.tif,x\n", "is a path of another computer"),
    "one label": ("path,label\na,x\nb,x\n", "2 slides with 1 different label(s)"),
    "Excel": (b"PK\x03\x04rest", "an Excel or zip file"),
    "zeros": (b"path,label\n\0\0\0", "not a readable CSV"),
}


@pytest.mark.parametrize("mistake", REFUSED)
def test_what_cannot_be_meant_is_refused_in_one_line(mistake, tmp_path):
    text, words = REFUSED[mistake]
    (tmp_path / "labels.csv").write_bytes(text.encode() if isinstance(text, str) else text)
    with pytest.raises(UsageError) as error:
        load(tmp_path / "labels.csv", option="--slides")
    assert words in str(error.value) and "\n" not in str(error.value)
    assert str(error.value).startswith(f"--slides {tmp_path / 'labels.csv'}: ")


def test_folds_as_programs_write_them(tmp_path):
    (tmp_path / "labels.csv").write_text("path,label,fold\na,x,1.0\nb,y,0\n")
    assert [r.fold for r in load(tmp_path / "labels.csv").records] == [1, 0]


def test_tables_of_datasets_are_read_alike(tmp_path):
    table = tmp_path / "train.csv"
    for encoding in ("utf-8", "utf-16", "cp1252"):
        table.write_bytes("image_id,grade\nä,1\n\n".encode(encoding))
        assert read_rows(table) == [{"image_id": "ä", "grade": "1"}]
    table.write_text("image_id,grade\na,b,1\n")
    with pytest.raises(UsageError, match="line 2: more values"):
        read_rows(table)
