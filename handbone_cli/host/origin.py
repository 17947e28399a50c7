"""Where in a plugin's own files something stands: the line that failed, the version it asks for."""

from __future__ import annotations

import contextlib
import re
import traceback
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

DECLARED = re.compile(r"^HANDBONE_API\b[^=\n]*=\s*(\d+)\s*(?:#.*)?$", re.MULTILINE)


def place_of(error: BaseException, module: str) -> str:
    """The deepest line in a plugin's files that an exception came through: `handbone_x.py:12`.

    Args:
        error: with its traceback; the exceptions that caused it count too.
        module: any module of the plugin; the files are those of its top-level package.

    Returns:
        '' where none of its lines had a part in it.
    """
    home, found = home_of(module), ""
    cause: BaseException | None = error
    while cause is not None:
        frames = traceback.extract_tb(cause.__traceback__)
        lines: list[tuple[str, int | None]] = [(frame.filename, frame.lineno) for frame in frames]
        if isinstance(cause, SyntaxError) and cause.filename:
            lines.append((cause.filename, cause.lineno))
        found = deepest(lines, home) or found
        cause = cause.__cause__
    return found


def deepest(lines: Iterable[tuple[str, int | None]], home: Path | None) -> str:
    """The last of some files and lines that is in a plugin's home: `handbone_x.py:12`, or ''."""
    own = [
        f"{Path(name).relative_to(home.parent).as_posix()}:{line}"
        for name, line in lines
        if home is not None and Path(name).is_relative_to(home)
    ]
    return own[-1] if own else ""


def home_of(module: str) -> Path | None:
    """The folder of a module's top-level package; the file of one that is no package."""
    path = _source(module.partition(".")[0])
    return path.parent if path and path.name == "__init__.py" else path


def declared_in_source(module: str) -> int | None:
    """The HANDBONE_API that a module's text declares, for one that cannot be imported."""
    path = _source(module)
    with contextlib.suppress(OSError, UnicodeDecodeError):
        found = DECLARED.search(path.read_text(encoding="utf-8")) if path else None
        return int(found[1]) if found else None
    return None


def _source(module: str) -> Path | None:
    # find_spec imports the parents of a dotted name, and those may raise anything.
    with contextlib.suppress(Exception):
        spec = find_spec(module)
        return Path(spec.origin) if spec and spec.origin else None
    return None
