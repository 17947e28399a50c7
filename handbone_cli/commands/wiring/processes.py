"""One prediction in several processes: launched or joined, and what they must have in common."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path

    from handbone_cli.store.part import StorePart
    from handbone_cli.store.store import StoreWriter


def predict_by_several(context: click.Context, devices: int, source: str, output: Path) -> int:
    """Run the command line of a context in so many processes; gives the exit code.

    Raises:
        HandboneError: there are not as many GPUs; a process has ended before its time.
    """
    from handbone_cli.commands.wiring.execution import refuse_missing
    from handbone_cli.runs.launch import given_input, launch

    refuse_missing(devices)

    def lost(why: str) -> str:
        return f"{output}: {why}; what was predicted is kept, run the same command again to go on."

    given = given_input() if source == "-" else None
    return launch(devices, words_of(context, "devices"), lost, apart=True, given=given)


def words_of(context: click.Context, without: str) -> list[str]:
    """The words of a command line that were said, in click's canonical form, but for one option."""
    said, arguments = [], []
    for each in context.command.params:
        name = each.name or ""
        if name == without or not _is_said(context, name):
            continue
        value = context.params[name]
        values = value if isinstance(value, tuple) else (value,)
        if isinstance(each, click.Argument):
            arguments += [str(one) for one in values]
        elif isinstance(each, click.Option) and each.is_flag:
            said.append(_longest(each.opts if value else each.secondary_opts))
        else:
            said += [f"{_longest(each.opts)}={one}" for one in values]
    return [context.info_name or "", *said, "--", *arguments]


def _is_said(context: click.Context, name: str) -> bool:
    return context.get_parameter_source(name) is click.core.ParameterSource.COMMANDLINE


def _longest(words: Sequence[str]) -> str:
    return max(words, key=len)


def join_others() -> None:
    """Meet the other processes of the prediction, if any, before anything goes to a device."""
    from handbone_cli.networks.collectives import join_ranks
    from handbone_cli.runs.launch import follow_parent

    follow_parent()
    join_ranks()


def leave_others() -> None:
    """Let them go; nothing is left to do."""
    from handbone_cli.networks.collectives import leave_ranks
    from handbone_cli.runs.launch import stop_listening

    stop_listening()
    leave_ranks()


def open_output(
    output: Path,
    class_names: Sequence[str],
    settings: Mapping[str, Any],
    order: Sequence[str],
    labels: Mapping[str, Any] | None,
) -> StoreWriter | StorePart:
    """The store to write, as `StoreWriter`, or this process's part of it.

    Raises:
        HandboneError: also where the processes have found other images or other weights.
        LostRankError: the first process could not open it, and says why.
    """
    from handbone_cli.ranks import is_main, rank
    from handbone_cli.store.part import StorePart
    from handbone_cli.store.store import StoreWriter

    store = StoreWriter(output, class_names, settings, order, labels) if is_main() else None
    try:
        refuse_unlike(output, [class_names, settings, order, labels])
    except BaseException:
        if store is not None:
            store.close()
        raise
    return store or StorePart(output, rank())


def refuse_unlike(output: Path, found: Any) -> None:
    """One sentence unless all processes have found the same, which is JSON-able; they meet here."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import digest_json
    from handbone_cli.networks.collectives import collect

    if len(set(collect([digest_json(found)]))) > 1:
        raise HandboneError(
            f"{output}: the processes of this prediction have found other images, or another run; "
            "all need the same files, and none may change meanwhile."
        )
