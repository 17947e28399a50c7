"""`hb plugins check`: whether a plugin does what its kind must do, check by check."""

from __future__ import annotations

import json
from collections import Counter
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Iterable

    from handbone_cli.testing.cases import Case, Result

MARKS = {"passed": "✓", "failed": "✗", "skipped": "-"}


@click.command(short_help="Check that a plugin keeps what its kind promises.")
@click.argument("plugin", metavar="DISTRIBUTION|FOLDER|MODULE")
@click.option("--kind", help="Only components of this kind, for example models.")
@click.option("--name", help="Only components of this name.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def check(plugin: str, kind: str | None, name: str | None, as_json: bool) -> None:
    """Run every check on every component of a plugin, installed or in a folder.

    \b
    hb plugins check handbone-example
    hb plugins check ./my_plugin --kind losses
    hb plugins check handbone --name hflip --json

    A component is tried with the defaults of its options, or with the `example` that it is
    registered with. Exit code 1 if a check fails.
    """
    import contextlib
    import sys

    from handbone_cli.errors import HandboneError
    from handbone_cli.host.hookspecs import find_kind
    from handbone_cli.testing.cases import cases_of
    from handbone_cli.testing.plugin import locate

    only = find_kind(kind) if kind else None
    with contextlib.ExitStack() as stack:
        stack.enter_context(contextlib.redirect_stdout(sys.stderr))  # what plugins print
        found = locate(plugin, stack)
        results = run_all(cases_of(found, only, name))
    show_json(results) if as_json else show(results)
    counts: Counter[str] = Counter(result.outcome for _, result in results)
    summary = ", ".join(f"{counts[outcome]} {outcome}" for outcome in MARKS if counts[outcome])
    told = f"{found.name} {found.version}: {summary}"
    if counts["failed"]:
        raise HandboneError("\n".join([told, *failures(results)]))
    click.echo(told, err=as_json)


def run_all(cases: list[Case]) -> list[tuple[Case, Result]]:
    """Every result, in the cases' order, with progress on stderr."""
    from handbone_cli.terminal.progress import progress
    from handbone_cli.testing.cases import run

    results: list[tuple[Case, Result]] = []
    with progress("Checking", "checks") as report:
        for case, result in run(cases):
            results.append((case, result))
            done = cases.index(case) + 1
            report(done, len(cases), str(case) if done < len(cases) else "")
    return results


def failures(results: Iterable[tuple[Case, Result]]) -> list[str]:
    """A line for everything that is wrong; checks that fail alike share one."""
    checks: dict[tuple[str, str], list[str]] = {}
    for case, result in results:
        if result.outcome == "failed":
            checks.setdefault((case.subject, result.reason), []).append(case.check.__name__)
    return [
        f"  {subject}, {', '.join(names)}: {reason}" for (subject, reason), names in checks.items()
    ]


def show(results: Iterable[tuple[Case, Result]]) -> None:
    """A table: what was checked, what came of it, and what it promises or why not."""
    import sys

    from handbone_cli.terminal.tables import show_table

    marks = MARKS if sys.stdout.isatty() else {outcome: outcome for outcome in MARKS}
    rows = [
        (case.kind, case.name, case.check.__name__, marks[r.outcome], r.reason or case.promise)
        for case, r in results
    ]
    show_table(("kind", "name", "check", "result", "what"), rows)


def show_json(results: Iterable[tuple[Case, Result]]) -> None:
    """The same as a list of objects."""
    rows = [
        {
            "kind": case.kind,
            "name": case.name,
            "check": case.check.__name__,
            "outcome": result.outcome,
            "reason": result.reason,
            "promise": case.promise,
        }
        for case, result in results
    ]
    click.echo(json.dumps(rows))
