"""`hb predict`: a checkpoint to a store of probabilities."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.host.registry import Registry
    from handbone_cli.recipe.explain import Origins
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory


@click.command(
    short_help="Predict images into a store of probabilities.",
    context_settings={"allow_extra_args": True},  # to say what a glob without quotes does
)
@click.pass_context
@click.argument("run", type=Path)
@click.option(
    "-i",
    "--input",
    "source",
    required=True,
    help="Image, folder with its sub-folders, quoted glob, train / val / test, or - to read paths "
    "from stdin, one a line.",
)
@click.option("-o", "--output", type=Path, required=True, help="Store (a folder) to write.")
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
def predict(
    context: click.Context, run: Path, source: str, output: Path, sliding: bool | None,
    gaussian: bool | None, tta: tuple[str, ...], window: int | None, stride: int | None,
    batch_size: int | None, average: str | None, window_weight: str | None, masks: Path | None,
    masks_as: tuple[str, ...], workers: int | None, devices: int,
) -> None:  # fmt: skip
    """Predict with RUN (a run directory) into a store; what is not said is as in its recipe.

    The folder of `hb train --fold all` is a RUN for -i val: each fold's model predicts whom it
    left out. Ctrl-C finishes the image under way; the same command goes on after it. --devices
    shares the images out; on more machines: docs/devices.md

    \b
    hb predict runs/first -i val -o stores/first_val --sliding --gaussian --tta hflip
    hb predict runs/first -i films/ -o stores/films
    hb predict runs/first -i 'films/*_left.png' -o stores/left --devices 2
    find films -name '*.png' -newer last | hb predict runs/first -i - -o stores/new --masks masks
    """
    from handbone_cli.commands.wiring.filling import Filling
    from handbone_cli.commands.wiring.out_of_fold import fill_out_of_fold
    from handbone_cli.commands.wiring.prediction import open_run
    from handbone_cli.commands.wiring.processes import leave_others, predict_by_several
    from handbone_cli.host.registry import installed
    from handbone_cli.ranks import is_main
    from handbone_cli.runs.cross_validation import CrossValidation

    refuse_more_words(context.args)
    if masks_as and masks is None:
        raise click.UsageError("--masks-as goes with --masks DIR.")
    if devices > 1:
        context.exit(predict_by_several(context, devices, source, output))
    registry = installed()
    folds = CrossValidation(run) if source == "val" else None
    directory = folds if folds and folds.facts_file.exists() else open_run(run)
    recipe = with_options(directory.recipe(registry), registry, {
        "sliding": sliding, "gaussian": gaussian, "window": window, "stride": stride,
        "batch_size": batch_size, "average": average, "weight": window_weight,
    }, tta)  # fmt: skip
    filling = Filling(output, workers, masks, masks_as or ("png",))
    if isinstance(directory, CrossValidation):
        total, unreadable = fill_out_of_fold(directory, recipe, filling, registry)
    else:
        total, unreadable = fill_store(directory, recipe, source, filling, registry)
    for line in filling.write_masks(registry) if len(unreadable) < total else ():
        click.echo(line)
    leave_others()
    if is_main():
        tell_end(output, total, unreadable)


OPTIONS = {"weight": "--window-weight"}
"""Of keys that are not called as they are in a recipe."""
EXAMPLES = {"--tta": "scale:factor=0.8", "--window-weight": "hann:power=2"}


def with_options(
    recipe: Recipe, registry: Registry, predict_keys: dict[str, Any], tta: Sequence[str]
) -> Recipe:
    """The recipe with what the command line says, checked like any other recipe."""
    from handbone_cli.errors import HandboneError, RecipeError
    from handbone_cli.recipe.load import check, to_table, with_defaults

    table = to_table(recipe)
    said = {key: value for key, value in predict_keys.items() if value is not None}
    typed = {key: OPTIONS.get(key, f"--{key.replace('_', '-')}") for key in said}
    origins: Origins = {("predict", key): option for key, option in typed.items()}
    if typed:
        origins["predict",] = ", ".join(typed.values())
    if "gaussian" in said:
        table["predict"].pop("weight", None)
    if "weight" in said:
        said["weight"] = parse_view(said["weight"], "--window-weight")
    table["predict"] |= said
    if tta:
        table["tta"] = [parse_view(text) for text in tta if text != "none"]
        origins["tta",] = "--tta"
    try:
        return with_defaults(check(table, registry, origins, recipe.name), registry)
    except RecipeError as error:
        raise HandboneError(" ".join(error.problems)) from error


def parse_view(text: str, option: str = "--tta") -> dict[str, Any]:
    """`scale:factor=0.8` as a table of a recipe."""
    from handbone_cli.errors import HandboneError
    from handbone_cli.recipe.load import parse_override

    name, *options = text.split(":")
    if not all("=" in said for said in options):
        raise HandboneError(
            f"{option} {text}: expected NAME or NAME:KEY=VALUE, for example {EXAMPLES[option]}."
        )
    parsed = (parse_override(said, option) for said in options)
    return {"name": name} | {".".join(keys): value for keys, value in parsed}


def refuse_more_words(words: Sequence[str]) -> None:
    """A usage mistake that explains what a shell makes of a glob without quotes."""
    if not words:
        return
    listed = " ".join(words[:3]) + (" ..." if len(words) > 3 else "")
    folder = Path(words[0]).parent / f"*{Path(words[0]).suffix}"
    quoted = f"; a pattern for -i needs quotes: -i '{folder}'" if Path(words[0]).suffix else ""
    raise click.UsageError(f"unexpected words: {listed}{quoted}.")


def fill_store(
    directory: RunDirectory, recipe: Recipe, source: str, filling: Filling, registry: Registry
) -> tuple[int, list[str]]:
    """Predict every image that the store does not have yet.

    Returns how many there are, and a sentence for every one that cannot be read.
    """
    from handbone_cli.commands.wiring.datasets import dataset_reference, find_samples
    from handbone_cli.commands.wiring.filling import describe_settings
    from handbone_cli.commands.wiring.prediction import (
        build_predictor,
        load_model,
        mirror_pairs_of_run,
        weights_file,
    )
    from handbone_cli.commands.wiring.processes import join_others
    from handbone_cli.data.sources import SPLITS
    from handbone_cli.files import digest_json, file_digest

    names = directory.facts()["class_names"]
    own = source in SPLITS
    samples = find_samples(source, recipe, registry)
    settings = {
        **describe_settings(recipe, file_digest(weights_file(directory))),
        "recipe": digest_json(directory.facts()["recipe"]),
    }
    filling.refuse_masks(names, settings)
    join_others()
    model = load_model(directory, recipe, registry, names)
    pairs = mirror_pairs_of_run(directory, recipe, registry)
    predictor = build_predictor(model, recipe, registry, names, tta=recipe.tta, mirror_pairs=pairs)
    order = [sample.image_id for sample in samples]
    trained = set(directory.facts()["trained_persons"]) if own else set()
    jobs = ((sample, predictor, sample.person in trained) for sample in samples)
    labels = dataset_reference(recipe) if own else None
    return len(order), filling.fill(names, settings, order, labels, jobs)


def tell_end(output: Path, total: int, unreadable: Sequence[str]) -> None:
    """How many images the store has; those that cannot be read are a mistake, and are named."""
    from handbone_cli.errors import HandboneError

    if unreadable:
        good = total - len(unreadable)
        rest = [f"The other {good} of {total} are in {output}."] if good else []
        raise HandboneError(" ".join([*unreadable, *rest]))
    click.echo(f"{output}: {total} images")
