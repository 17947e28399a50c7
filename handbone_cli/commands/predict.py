"""`hb predict`: checkpoints to a store of probabilities."""

from __future__ import annotations

from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence


MOST_NAMED = 5
"""Images that a line names."""


@click.command(
    short_help="Predict images into a store of probabilities.",
)
@click.argument("runs", metavar="RUN...", nargs=-1, required=True, type=Path)
@click.option(
    "-i",
    "--input",
    "source",
    required=True,
    help="Image, folder with its sub-folders, quoted glob, train / val / test, or - to read paths "
    "from stdin, one a line.",
)
@click.option(
    "-o",
    "--output",
    type=Path,
    help="Store (a folder) to write.  [default: stores/RUN_INPUT]",
)
@click.option(
    "--weights",
    type=Path,
    metavar="DECISION",
    help="Weights, thresholds and rules of several RUNs (.toml).  [default: their mean]",
)
@click.option("--sliding/--whole", default=None, help="Windows, or the whole image at once.")
@click.option("--gaussian/--uniform", default=None, help="How windows are weighted.")
@click.option(
    "--tta",
    multiple=True,
    metavar="NAME[:KEY=VALUE]",
    help="A view to average over, or a set such as `flip`; again for more, `none` for none.",
)
@click.option("--window", type=int, help="Side of a window, px.")
@click.option("--stride", type=int, help="Step between windows, px.")
@click.option("--batch-size", type=int, help="Windows at a time; 0: as many as fit.")
@click.option(
    "--average",
    type=click.Choice(["probabilities", "logits"]),
    help="What windows and views are averaged as.",
)
@click.option(
    "--window-weight",
    metavar="NAME[:KEY=VALUE]",
    help="A window weight by its plugin, in place of Gaussian and uniform.",
)
@click.option("--masks", type=Path, metavar="DIR", help="Folder for masks of what is predicted.")
@click.option(
    "--masks-as",
    type=click.Choice(["png", "packed", "coco", "contours"]),
    multiple=True,
    help="Form of the masks; again for more.  [default: png]",
)
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    help="Threads that read images ahead; 0: none.  [default: 2 with a GPU, 0 without]",
)
@click.option("--devices", type=click.IntRange(1), default=1, help="GPUs, or processes on a CPU.")
@click.option(
    "--max-ram",
    metavar="SIZE",
    help="RAM to take at most on this machine, such as 8G; models take turns if need be.  "
    "[default: what is free]",
)
@click.pass_context
def predict(
    context: click.Context, runs: tuple[Path, ...], source: str, output: Path | None,
    weights: Path | None, sliding: bool | None, gaussian: bool | None, tta: tuple[str, ...],
    window: int | None, stride: int | None,
    batch_size: int | None, average: str | None, window_weight: str | None, masks: Path | None,
    masks_as: tuple[str, ...], workers: int | None, devices: int, max_ram: str | None,
) -> None:  # fmt: skip
    """Predict with RUN (a run directory) into a store; what is not said is as in its recipe.

    The folder of `hb train --fold all` is a RUN too: the mean of its folds, or for -i val each
    fold predicts whom it left out. Several RUNs are summed. Ctrl-C finishes the image under way;
    the same command goes on after it. --devices shares the images out; see docs/devices.md

    \b
    hb predict runs/first -i val -o stores/first_val --sliding --gaussian --tta hflip
    hb predict runs/first -i films/ -o stores/films
    hb predict runs/a runs/b --weights ensemble.toml -i films/ -o stores/both --masks masks
    hb predict runs/first -i 'films/*_left.png' -o stores/left --devices 2
    find films -name '*.png' -newer last | hb predict runs/first -i - -o stores/new --masks masks
    """
    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.commands.wiring.one_model import fill_one
    from handbone_cli.commands.wiring.out_of_fold import fill_out_of_fold
    from handbone_cli.commands.wiring.prediction_options import with_options
    from handbone_cli.commands.wiring.processes import leave_others, predict_by_several
    from handbone_cli.commands.wiring.summing import fill_sum
    from handbone_cli.host.registry import installed
    from handbone_cli.ranks import is_main
    from handbone_cli.runs.cross_validation import CrossValidation

    refuse_files(runs)
    output = output or default_store(runs, source)
    if masks_as and masks is None:
        raise click.UsageError("--masks-as goes with --masks DIR.")
    folds = CrossValidation(runs[0])
    is_whole = folds.facts_file.exists()
    is_sum = len(runs) > 1 or weights or max_ram is not None or (is_whole and source != "val")
    if devices > 1:
        context.exit(predict_by_several(context, devices, source, output))
    registry = installed()
    options = {
        "sliding": sliding, "gaussian": gaussian, "window": window, "stride": stride,
        "batch_size": batch_size, "average": average, "weight": window_weight,
    }  # fmt: skip
    said = partial(with_options, registry=registry, predict_keys=options, tta=tta)
    filling = Filling(output, workers, masks, masks_as or ("png",))
    if is_sum:
        total, unreadable = fill_sum(runs, weights, source, filling, registry, said, max_ram)
    elif is_whole:
        recipe = said(folds.recipe(registry))
        total, unreadable = fill_out_of_fold(folds, recipe, filling, registry)
    else:
        total, unreadable = fill_one(runs[0], source, filling, registry, said)
    for line in filling.write_masks(registry) if len(unreadable) < total else ():
        click.echo(line)
    leave_others()
    if is_main():
        tell_empty(output)
        tell_end(output, total, unreadable)


def default_store(runs: Sequence[Path], source: str) -> Path:
    """Where probabilities go unless the user says: stores/RUN_INPUT; one mistake if unclear."""
    name = Path(source).stem
    if len(runs) > 1 or not name or not all(letter.isalnum() or letter in "._-" for letter in name):
        raise click.UsageError("say with -o STORE where the probabilities go.")
    if name == "-":
        name = "stdin"
    return Path("stores") / f"{runs[0].name}_{name}"


def refuse_files(runs: Sequence[Path]) -> None:
    """A usage mistake that explains what a shell makes of a glob without quotes."""
    words = [run for run in runs[1:] if run.suffix and not run.is_dir()]
    if not words:
        return
    listed = " ".join(map(str, words[:3])) + (" ..." if len(words) > 3 else "")
    folder = words[0].parent / f"*{words[0].suffix}"
    raise click.UsageError(
        f"unexpected words: {listed}; a pattern for -i needs quotes: -i '{folder}'."
    )


def tell_empty(output: Path) -> None:
    """A line on images of the store on which no bone was found, such as a film without a hand."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import say

    try:
        store = Store.open(output)
        empty = [name for name in store.image_ids if store.is_empty(name)]
    except HandboneError:  # nothing could be predicted, which is told by others
        return
    if not empty:
        return
    sources = (store.images[name].source or name for name in empty[:MOST_NAMED])
    named = ", ".join(Path(source).name for source in sources)
    more = f" and {len(empty) - MOST_NAMED} more" if len(empty) > MOST_NAMED else ""
    if len(empty) == 1:
        say(f"{named}: no bone was found on it, so there are no masks of it.")
    else:
        say(f"{named}{more}: no bone was found on them, so there are no masks of these.")


def tell_end(output: Path, total: int, unreadable: Sequence[str]) -> None:
    """How many images the store has; those that cannot be read are a mistake, and are named."""
    from handbone_cli.errors import HandboneError

    if unreadable:
        good = total - len(unreadable)
        rest = [f"The other {good} of {total} are in {output}."] if good else []
        raise HandboneError(" ".join([*unreadable, *rest]))
    click.echo(f"{output}: {total} images")
