"""Files of weights on the command line: opened, described, compared with a recipe's network."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from handbone_cli.commands.wiring.prediction import open_run, weights_file, without_pretraining
from handbone_cli.errors import HandboneError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.match import Match
    from handbone_cli.networks.weights import TensorFile
    from handbone_cli.recipe.schema import Recipe


def match_initial_weights(recipe: Recipe, registry: Registry) -> Match | None:
    """What model.weights has of the recipe's network; None where the recipe names no weights.

    Raises:
        HandboneError: no such file, another network, other classes.
    """
    from handbone_cli.data.sources import open_dataset

    if recipe.model.weights is None:
        return None
    file = open_weights(recipe.model.weights)
    class_names = open_dataset(recipe, registry).class_names
    return match_weights(file, recipe, registry, class_names, partial=bool(recipe.model.partial))


def open_weights(path: Path) -> TensorFile:
    """A safetensors file, or the best weights of a run or of a name; no tensor is read."""
    from handbone_cli.files import require
    from handbone_cli.host.named_weights import named_weights
    from handbone_cli.networks.weights import open_tensors

    path = named_weights(path)
    require(path, "a safetensors file, or a run directory (what `hb train` writes)")
    if path.is_dir():
        run = open_run(path)
        run.facts()
        path = weights_file(run)
    return open_tensors(path)


def match_weights(
    file: TensorFile,
    recipe: Recipe,
    registry: Registry,
    class_names: Sequence[str],
    *,
    partial: bool,
) -> Match:
    """What a file has of a recipe's network for some classes."""
    from handbone_cli.data.preprocessing import Preprocessing
    from handbone_cli.networks.initial_weights import compare, network_shapes

    channels = Preprocessing.of(recipe, registry).channels
    plain, classes = without_pretraining(recipe), len(class_names)
    return compare(
        file,
        network_shapes(plain, registry, classes, channels),
        lambda: network_shapes(plain, registry, classes + 1, channels),
        class_names,
        model=recipe.model.name,
        partial=partial,
    )


def describe_file(opened: TensorFile) -> dict[str, Any]:
    """Everything that a file says of itself."""
    from handbone_cli.files import file_digest

    return {
        "file": str(opened.path),
        "bytes": opened.path.stat().st_size,
        "sha256": file_digest(opened.path),
        "parameters": opened.parameters,
        "dtypes": sorted({opened.dtypes[name] for name in opened.weights.values()}),
        "class_names": opened.class_names,
        "header": opened.header,
        "tensors": [
            {"name": name, "shape": opened.shapes[each], "dtype": opened.dtypes[each]}
            for name, each in opened.weights.items()
        ],
    }


def try_recipe(
    opened: TensorFile, recipe: str, overrides: tuple[str, ...], classes: int | None
) -> dict[str, Any]:
    """What a recipe's model would take over, as it is and with model.partial = true."""
    from handbone_cli.data.sources import open_dataset
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe

    registry = installed()
    wanted = load_recipe(recipe, registry, overrides)
    if classes is None:
        names = open_dataset(wanted, registry).class_names
    else:
        same = opened.class_names if classes == len(opened.class_names or ()) else None
        names = same or tuple(f"class {number + 1}" for number in range(classes))
    try:
        whole = match_weights(opened, wanted, registry, names, partial=False)
        return {"all": True, "said": whole.report(), **whole.facts()}
    except HandboneError as error:
        said = str(error)
    try:
        some = match_weights(opened, wanted, registry, names, partial=True)
    except HandboneError as error:
        return {"all": False, "said": str(error), "loaded": 0}
    said = f"{said}\nwith model.partial = true: {some.report()}"
    return {"all": False, "said": said, **some.facts()}
