from __future__ import annotations

import zipfile
from xml.sax.saxutils import escape

import pytest

from handbone_cli.data.metadata import (
    PersonRecord,
    find_metadata,
    person_name,
    read_metadata,
    record_of,
)
from handbone_cli.errors import HandboneError

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
DOCUMENT = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"


def write_xlsx(path, *sheets):
    """A workbook as Excel writes it, numbers as numbers and text in line."""
    names = [f"xl/worksheets/sheet{place}.xml" for place in range(1, len(sheets) + 1)]
    entries = "".join(
        f'<sheet name="S{i}" sheetId="{i}" r:id="r{i}"/>' for i in range(1, len(sheets) + 1)
    )
    relations = "".join(
        f'<Relationship Id="r{i}" Type="{DOCUMENT}/worksheet" Target="{name[3:]}"/>'
        for i, name in enumerate(names, 1)
    )
    with zipfile.ZipFile(path, "w") as book:
        book.writestr(
            "[Content_Types].xml",
            '<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types"/>',
        )
        book.writestr(
            "_rels/.rels",
            f'<Relationships xmlns="{PACKAGE}"><Relationship Id="a" '
            f'Type="{DOCUMENT}/officeDocument" Target="xl/workbook.xml"/></Relationships>',
        )
        book.writestr(
            "xl/workbook.xml",
            f'<workbook xmlns="{MAIN}" xmlns:r="{DOCUMENT}"><sheets>{entries}</sheets></workbook>',
        )
        book.writestr(
            "xl/_rels/workbook.xml.rels",
            f'<Relationships xmlns="{PACKAGE}">{relations}</Relationships>',
        )
        for name, rows in zip(names, sheets, strict=True):
            book.writestr(
                name,
                f'<worksheet xmlns="{MAIN}"><sheetData>{"".join(map(row, rows))}</sheetData>'
                "</worksheet>",
            )
    return path


def row(cells):
    return f"<row>{''.join(map(cell, cells))}</row>"


def cell(value):
    if value is None:
        return "<c/>"
    if isinstance(value, bool):
        return f'<c t="b"><v>{int(value)}</v></c>'
    if isinstance(value, str):
        return f'<c t="inlineStr"><is><t xml:space="preserve">{escape(value)}</t></is></c>'
    return f"<c><v>{value}</v></c>"


KOREAN = ["ID", "나이", "성별", "체중(몸무게)", "키(신장)", None]


def test_the_workbook_of_the_competition(tmp_path):
    sexes = ["여", "남", "여 ", " 남", "_x0008_여", "_x0008_남"]
    rows = [[n, 20 + n, sex, 50.5, 160 + n, "note"] for n, sex in enumerate(sexes, 1)]
    people = read_metadata(write_xlsx(tmp_path / "meta_data.xlsx", [KOREAN, *rows]))
    assert list(people) == [f"ID00{n}" for n in range(1, 7)]
    assert [each.sex for each in people.values()] == ["female", "male"] * 3
    assert people["ID003"] == PersonRecord("ID003", 23.0, "female", 50.5, 163.0)


@pytest.mark.parametrize(
    ("cell", "sex"),
    [
        *((text, "female") for text in ("F", "f ", "Female", "FEMALE", "\uff26", "woman", "여성")),
        *((text, "male") for text in ("M", "male", "Man", "남자", "M.")),
        *((text, None) for text in ("", "O", "F/M", "1", "unknown", "maleish")),
    ],
)
def test_how_a_sex_may_be_spelt(tmp_path, cell, sex):
    path = tmp_path / "people.csv"
    path.write_text(f"ID,Age,Gender\n7,31,{cell}\n")
    assert read_metadata(path)["ID007"].sex == sex


@pytest.mark.parametrize("cell", [1, 1.0, "1", "ID1", "ID001", "id_001", "ID 1", "1.0", "ID0001"])
def test_ids_become_the_names_of_folders(cell):
    assert person_name(cell) == "ID001"


def test_ids_of_other_kinds():
    assert [person_name(each) for each in (None, " ", "p-7a ", 1234, "ID_x0008_12")] == [
        None, None, "p-7a", "ID1234", "ID012",
    ]  # fmt: skip


def test_a_person_is_found_however_the_folder_is_named(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("ID,Age\n12,31\np-7a,40\n")
    people = read_metadata(path)
    for folder in ("ID012", "ID12", "12", "012"):
        assert record_of(people, folder).age == 31
    assert record_of(people, "p-7a").age == 40
    assert record_of(people, "ID120") is None


@pytest.mark.parametrize(
    "heading",
    [
        "id,AGE,Sex,weight (kg),Height_cm",
        "아이디,나이(만),성별(남/여),몸무게,신장",
        '" Patient ID ",age,gender,Weight,Height',
    ],
)
def test_headings_in_varying_spelling(tmp_path, heading):
    path = tmp_path / "people.csv"
    path.write_text(f"{heading}\nID004,45,M,70,171\n", encoding="utf-8")
    assert read_metadata(path) == {"ID004": PersonRecord("ID004", 45.0, "male", 70.0, 171.0)}


def test_columns_in_any_order_below_a_title(tmp_path):
    path = write_xlsx(
        tmp_path / "people.xlsx",
        [["Readme"], ["nothing"]],
        [["Hands of 2023"], [None], ["Height", "note", "ID"], [160, "x", 3], [None, "y", None]],
    )
    assert read_metadata(path) == {"ID003": PersonRecord("ID003", None, None, None, 160.0)}


@pytest.mark.parametrize(
    ("cell", "age"),
    [("45", 45), ("45세", 45), ("045Y", 45), (" 45.5 ", 45.5), ("45,5", 45.5), ("0", 0)],
)
def test_ages(tmp_path, cell, age):
    path = tmp_path / "people.csv"
    path.write_text(f"ID;Age\n1;{cell}\n", encoding="utf-8")
    assert read_metadata(path)["ID001"].age == age


@pytest.mark.parametrize("cell", ["", "-3", "121", "450", "x", "nan", "inf", "6M", "2000-01-01"])
def test_missing_and_absurd_ages(tmp_path, cell):
    path = tmp_path / "people.csv"
    path.write_text(f"ID,Age\n1,{cell}\n")
    assert read_metadata(path)["ID001"].age is None


def test_absurd_cells_leave_the_others(tmp_path):
    rows = [["ID", "age", "sex", "weight", "height"], [1, True, "여", 0, 1.7], [2, 30, "M", 500]]
    people = read_metadata(write_xlsx(tmp_path / "people.xlsx", rows))
    assert people["ID001"] == PersonRecord("ID001", None, "female", None, None)
    assert people["ID002"] == PersonRecord("ID002", 30.0, "male", None, None)


def test_rows_of_one_person_that_disagree(tmp_path):
    path = tmp_path / "people.csv"
    path.write_text("ID,age,sex\nID1,30,F\nID001,31,F\nID2,50,M\nID2,50,M\n")
    people = read_metadata(path)
    assert (people["ID001"].age, people["ID001"].sex) == (None, "female")
    assert (people["ID002"].age, people["ID002"].sex) == (50.0, "male")


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp949", "utf-16"])
@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_encodings_and_delimiters(tmp_path, encoding, delimiter):
    path = tmp_path / "people.csv"
    lines = (("ID", "나이", "성별"), ("1", "33", "여"))
    path.write_bytes("\r\n".join(map(delimiter.join, lines)).encode(encoding))
    assert read_metadata(path) == {"ID001": PersonRecord("ID001", 33.0, "female", None, None)}


def test_a_mark_before_a_quoted_heading(tmp_path):
    path = tmp_path / "people.csv"
    path.write_bytes('\ufeff"ID, of folder",Age\n1,33\n'.encode())
    assert read_metadata(path)["ID001"].age == 33


def test_a_workbook_by_another_name(tmp_path):
    path = write_xlsx(tmp_path / "people.csv", [["ID", "Age"], [1, 20]])
    assert read_metadata(path)["ID001"].age == 20


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "the file is empty"),
        (b" \n", "the file is empty"),
        (b"\n\n,\n", "expected a heading 'ID'"),
        (b"name,age\nx,3\n", "expected a heading 'ID'"),
        (b"ID,colour\n1,red\n", "expected a heading 'ID'"),
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\xff\xff\xff", "neither an Excel workbook nor text"),
        ("ID,Age\n1,20\n".encode("utf-16-le"), "neither an Excel workbook nor text"),
        (b"PK\x03\x04 cut", "not a readable Excel workbook"),
    ],
)
def test_files_that_are_no_table(tmp_path, content, words):
    path = tmp_path / "meta_data.csv"
    path.write_bytes(content)
    with pytest.raises(HandboneError, match=words) as caught:
        read_metadata(path)
    assert str(caught.value).startswith(f"{path}: ")


def test_a_workbook_that_is_cut_off(tmp_path):
    path = write_xlsx(tmp_path / "meta_data.xlsx", [KOREAN, [1, 20, "여", 50, 160]])
    whole = path.read_bytes()
    for length in (30, len(whole) // 2, len(whole) - 10):
        path.write_bytes(whole[:length])
        with pytest.raises(HandboneError, match="not a readable Excel workbook"):
            read_metadata(path)


def test_no_such_file(tmp_path):
    with pytest.raises(HandboneError, match="no such file"):
        read_metadata(tmp_path / "meta_data.csv")


def test_where_a_table_is_looked_for(tmp_path):
    (tmp_path / "train").mkdir()
    assert find_metadata(tmp_path) is None
    order = ["train/meta_data.csv", "meta_data.csv", "train/meta_data.xlsx", "meta_data.xlsx"]
    for name in order:  # each comes before those above it
        (tmp_path / name).write_text("x")
        assert find_metadata(tmp_path) == tmp_path / name
