"""What a dataset's table says of its people: age, sex, weight, height, whatever its spelling."""

from __future__ import annotations

import csv
import io
import re
import unicodedata
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from handbone_cli.errors import HandboneError
from handbone_cli.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

NAMES = ("meta_data.xlsx", "meta_data.csv")
HEADINGS = {
    "person": {"id", "person", "patient", "아이디", "환자", "환자번호"},
    "age": {"age", "나이", "연령"},
    "sex": {"sex", "gender", "성별"},
    "weight": {"weight", "체중", "몸무게"},
    "height": {"height", "키", "신장"},
}
"""Words of a column's heading, in any case, beside units and brackets."""

RANGES = {"age": (0.0, 120.0), "weight": (1.0, 400.0), "height": (30.0, 250.0)}
"""Years, kg, cm; outside them a cell is a slip of the pen."""

SEXES = {
    "female": {"f", "female", "w", "woman", "여", "여자", "여성"},
    "male": {"m", "male", "man", "남", "남자", "남성"},
}
HEADING_ROWS = 20  # titles and empty rows that may stand above the headings
ZIP, OLE = b"PK\x03\x04", b"\xd0\xcf\x11\xe0"  # how .xlsx and .xls begin, whatever their suffix

_ESCAPE = re.compile(r"_x([0-9A-Fa-f]{4})_")  # ECMA-376, 22.9.2.19: a backspace is _x0008_
_WORD = re.compile(r"[^\W\d_]+")
_NUMBER = re.compile(r"(\d+(?:[.,]\d+)?)\s*(?:y|yr|yrs|years?|세|살|kg|cm)?\.?")
_ID = re.compile(r"(?:id)?[\s_-]*(\d+)(?:\.0+)?", re.IGNORECASE)


@dataclass(frozen=True)
class PersonRecord:
    """One person; None where the table has nothing, or nothing that can be true.

    Attributes:
        person: as the dataset's folders name them, `ID001`.
        age: years.
        sex: 'female' or 'male'.
        weight: kg.
        height: cm.
    """

    person: str
    age: float | None
    sex: str | None
    weight: float | None
    height: float | None


def find_metadata(root: Path) -> Path | None:
    """The table of a dataset: meta_data.xlsx, else .csv, in its folder or in `train` below it."""
    places = [folder / name for name in NAMES for folder in (root, root / "train")]
    return next((place for place in places if place.is_file()), None)


def read_metadata(path: Path) -> dict[str, PersonRecord]:
    """The people of an .xlsx or .csv table by name; numbers in an ID column become `ID001`.

    Where two rows of one person disagree, that value is None.

    Raises:
        HandboneError: the file cannot be read, or has no column of IDs beside another known one.
    """
    for rows in _sheets(path):
        places = [_columns(row) for row in rows[:HEADING_ROWS]]
        for start, columns in enumerate(places):
            if "person" in columns and len(columns) > 1:
                return _people(rows[start + 1 :], columns)
    raise HandboneError(
        f"{path}: expected a heading 'ID' and at least one of age, sex, weight, height "
        "(나이, 성별, 체중, 키) in its first rows."
    )


def record_of(records: Mapping[str, PersonRecord], person: str) -> PersonRecord | None:
    """A person's row, whether the dataset's folders say ID001, ID1 or 1."""
    return records.get(person) or records.get(person_name(person) or "")


def person_name(cell: Any) -> str | None:
    """An ID cell as the dataset's folders name people: 1, '1', 'ID1' and 'ID001' are `ID001`."""
    text = _text(cell)
    number = _ID.fullmatch(text)
    return f"ID{int(number[1]):03d}" if number else text or None


def _sheets(path: Path) -> list[list[list[Any]]]:
    content = read_bytes(path)
    if not content.strip():
        raise HandboneError(f"{path}: the file is empty; expected a table of people.")
    if content.startswith((ZIP, OLE)):
        return _workbook(path, content)
    text = _decoded(path, content)
    return [list(csv.reader(io.StringIO(text), delimiter=_delimiter(text)))]


def _workbook(path: Path, content: bytes) -> list[list[list[Any]]]:
    from python_calamine import CalamineError, SheetTypeEnum, load_workbook

    try:
        book = load_workbook(io.BytesIO(content))
        sheets = [s.name for s in book.sheets_metadata if s.typ == SheetTypeEnum.WorkSheet]
        return [book.get_sheet_by_name(name).to_python() for name in sheets]
    except (CalamineError, OSError) as error:
        raise HandboneError(
            f"{path}: not a readable Excel workbook ({error}); copy it again, or save it as CSV."
        ) from error


def _decoded(path: Path, content: bytes) -> str:
    """UTF-8, UTF-16 with its mark, or CP949, in which a Korean Excel saves CSV."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        return content.decode("utf-16", errors="replace")
    for encoding in ("utf-8-sig", "cp949"):
        try:
            text = content.decode(encoding)
        except UnicodeDecodeError:
            continue
        if "\0" not in text:
            return text
    raise HandboneError(f"{path}: neither an Excel workbook nor text; expected .xlsx or .csv.")


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    return max(",;\t", key=first.count)


def _columns(row: Sequence[Any]) -> dict[str, int]:
    """Field -> the first column whose heading has one of its words."""
    words = [set(_WORD.findall(_text(cell).lower())) for cell in row]
    return {
        field: next(place for place, heading in enumerate(words) if heading & known)
        for field, known in HEADINGS.items()
        if any(heading & known for heading in words)
    }


def _people(rows: Iterable[Sequence[Any]], columns: dict[str, int]) -> dict[str, PersonRecord]:
    people: dict[str, PersonRecord] = {}
    for row in rows:
        cells = {field: row[at] if at < len(row) else None for field, at in columns.items()}
        person = person_name(cells["person"])
        if person is None:
            continue
        record = PersonRecord(
            person,
            _number(cells.get("age"), "age"),
            _sex(cells.get("sex")),
            _number(cells.get("weight"), "weight"),
            _number(cells.get("height"), "height"),
        )
        people[person] = _agreed(people.get(person, record), record)
    return people


def _agreed(one: PersonRecord, other: PersonRecord) -> PersonRecord:
    unsure: dict[str, Any] = {
        field: None for field in HEADINGS if getattr(one, field) != getattr(other, field)
    }
    return replace(one, **unsure)


def _text(cell: Any) -> str:
    """A cell as text without escapes, control characters and full-width forms."""
    text = "" if cell is None else str(cell)
    text = unicodedata.normalize("NFKC", _ESCAPE.sub(lambda found: chr(int(found[1], 16)), text))
    return "".join(c if unicodedata.category(c)[0] != "C" else " " for c in text).strip()


def _sex(cell: Any) -> str | None:
    words = set(_WORD.findall(_text(cell).lower()))
    found = [sex for sex, spellings in SEXES.items() if words & spellings]
    return found[0] if len(found) == 1 else None


def _number(cell: Any, field: str) -> float | None:
    found = _NUMBER.fullmatch(_text(cell).lower())
    if not found:
        return None
    value, (low, high) = float(found[1].replace(",", ".")), RANGES[field]
    return value if low <= value <= high else None
