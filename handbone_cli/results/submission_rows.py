"""The rows of a submission as they stand in the file: columns, lines, gzip, and what is no CSV."""

from __future__ import annotations

import contextlib
import csv
import gzip
import io
import zlib
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, cast

from handbone_cli.errors import HandboneError
from handbone_cli.files import read_bytes

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path
    from typing import BinaryIO

COLUMNS = ("image_name", "class", "rle")
HEADER = f"{','.join(COLUMNS)}\n".encode()
IMAGE_SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".dcm", ".dicom"})
GZIP_MAGIC = b"\x1f\x8b"
LONGEST_FIELD = 2**31 - 1  # csv refuses fields over 128 KiB by default; a ragged RLE is longer


def is_submission(head: bytes) -> bool:
    """Whether a file that begins so is a submission as `hb submit` writes it, gzipped or not."""
    if head.startswith(GZIP_MAGIC):
        with contextlib.suppress(zlib.error):
            head = zlib.decompressobj(zlib.MAX_WBITS | 16).decompress(head, len(HEADER))
    return head.startswith(HEADER)


@dataclass(frozen=True)
class Row:
    """One bone of one image: the line of the file it ends in, image id, class name, RLE."""

    line: int
    image_id: str
    class_name: str
    rle: str


def read_rows(path: Path) -> list[Row]:
    """Read the rows of a CSV, gzipped or not, columns in any order, further columns ignored.

    Raises:
        HandboneError: no such file, no CSV, a column is missing, a row is too short.
    """
    reader = csv.reader(io.StringIO(_read_text(path), newline=""))
    limit = csv.field_size_limit(LONGEST_FIELD)
    try:
        places = _places(path, next(reader, []))
        return [_row(path, reader.line_num, fields, places) for fields in reader if fields]
    except csv.Error as error:
        raise HandboneError(f"{path}, line {reader.line_num}: not CSV ({error}).") from error
    finally:
        csv.field_size_limit(limit)


def _row(path: Path, line: int, fields: list[str], places: list[int]) -> Row:
    if len(fields) <= max(places):
        found = "1 field" if len(fields) == 1 else f"{len(fields)} fields"
        raise HandboneError(f"{path}, line {line}: {found}; expected {', '.join(COLUMNS)}.")
    name, class_name, text = (fields[place] for place in places)
    return Row(line, image_id_of(name), class_name, text)


def _places(path: Path, header: list[str]) -> list[int]:
    for column in COLUMNS:
        if column not in header:
            expected = f"expected {', '.join(COLUMNS)}"
            raise HandboneError(f"{path}, line 1: there is no column '{column}'; {expected}.")
    return [header.index(column) for column in COLUMNS]


def _read_text(path: Path) -> str:
    content = read_bytes(path)
    try:
        if content.startswith(GZIP_MAGIC):
            content = gzip.decompress(content)
        return content.decode("utf-8-sig")
    except (OSError, EOFError, zlib.error) as error:
        raise HandboneError(f"{path}: the gzip file is cut off or damaged.") from error
    except UnicodeDecodeError as error:
        raise HandboneError(f"{path}: not a CSV (it is not UTF-8 text).") from error


def image_id_of(image_name: str) -> str:
    """The name of an image without the suffix of an image file: 'a.b.png' -> 'a.b'."""
    suffix = PurePosixPath(image_name).suffix
    return image_name.removesuffix(suffix) if suffix.lower() in IMAGE_SUFFIXES else image_name


@contextlib.contextmanager
def text_writer(file: BinaryIO, *, packed: bool) -> Iterator[io.TextIOWrapper]:
    """Write UTF-8 text into an open binary file, gzipped if `packed`; the file stays open."""
    # No name and no time in the gzip header: the same masks give the same bytes.
    target = gzip.GzipFile("", "wb", 6, file, mtime=0) if packed else file
    text = io.TextIOWrapper(cast("BinaryIO", target), encoding="utf-8", newline="")
    try:
        yield text
    finally:
        text.detach()
        if packed:
            target.close()
