"""`pytest --handbone DISTRIBUTION`: every check of a handbone plugin as a test item of its own.

pytest loads this wherever handbone is installed, so nothing else is imported before it is asked.
"""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

    from handbone_cli.testing.cases import Case


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add --handbone."""
    parser.getgroup("handbone").addoption(
        "--handbone",
        action="append",
        default=[],
        metavar="DISTRIBUTION",
        help="check the components of a handbone plugin: an installed distribution, or ./FOLDER",
    )


@pytest.hookimpl(tryfirst=True)  # before -k and -m choose among the items
def pytest_collection_modifyitems(session: pytest.Session, items: list[pytest.Item]) -> None:
    """Add the checks of the plugins that are named, after the tests that were found."""
    for word in session.config.getoption("--handbone"):
        collector = PluginCollector.from_parent(session, name=word, nodeid=word)
        items.extend(collector.collect())


class PluginCollector(pytest.Collector):
    """A handbone plugin."""

    def collect(self) -> Iterator[CheckItem]:
        """One item a check.

        Raises:
            pytest.UsageError: there is no such plugin.
        """
        from handbone_cli.errors import HandboneError
        from handbone_cli.testing.cases import cases_of
        from handbone_cli.testing.plugin import locate

        stack = contextlib.ExitStack()
        self.config.add_cleanup(stack.close)
        try:
            cases = cases_of(locate(self.name, stack))
        except HandboneError as error:
            raise pytest.UsageError(f"--handbone {self.name}: {error}") from error
        for case in cases:
            yield CheckItem.from_parent(self, name=str(case), case=case)


class CheckItem(pytest.Item):
    """One check of one component."""

    def __init__(self, *, case: Case, **details: Any) -> None:
        super().__init__(**details)
        self.case = case

    def runtest(self) -> None:
        """Run it."""
        self.case()

    def repr_failure(
        self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None
    ) -> str | Any:
        """The sentence alone: the traceback would be ours."""
        if excinfo.errisinstance(AssertionError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Any, int | None, str]:
        """Where pytest says that it is, and how it is called."""
        return self.path, None, str(self.case)
