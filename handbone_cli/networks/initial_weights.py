"""What a network starts from: a file's tensors compared with the network's, and taken over."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from handbone_cli.errors import HandboneError
from handbone_cli.networks.build import build_segmenter
from handbone_cli.networks.match import BIAS, WAY_OUT, Match, nothing_matches, other_classes
from handbone_cli.networks.meta import parameters_without_storage
from handbone_cli.networks.tensor_names import CORE, COUNTERS, pair_names
from handbone_cli.networks.weights import own_tensors

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from handbone_cli.host.registry import Registry
    from handbone_cli.networks.match import Shapes
    from handbone_cli.networks.weights import TensorFile
    from handbone_cli.networks.wrapper import Segmenter
    from handbone_cli.recipe.schema import Recipe


def network_shapes(recipe: Recipe, registry: Registry, classes: int, channels: int) -> Shapes:
    """The tensors that a recipe's network has in a checkpoint, built without storage if it can."""

    def build() -> Shapes:
        model = build_segmenter(recipe, registry, classes, channels)
        return {name: tuple(tensor.shape) for name, tensor in own_tensors(model).items()}

    try:
        with parameters_without_storage():
            return build()
    except Exception:  # noqa: BLE001  a builder that reads its weights; its own mistakes come again
        return build()


def compare(
    file: TensorFile,
    network: Shapes,
    wider: Callable[[], Shapes],
    class_names: Sequence[str],
    *,
    model: str,
    partial: bool,
) -> Match:
    """Compare a file with a network.

    Args:
        file: whose names may carry the prefixes of any wrapper.
        network: the shapes of its tensors for these classes.
        wider: () -> the shapes for one class more, which tell what tensors count classes.
        class_names: C names.
        model: its name in the recipe, for sentences.
        partial: take over what matches; else all must.

    Raises:
        HandboneError: other classes or tensors without `partial`; nothing that matches with it.
    """
    names, theirs = tuple(class_names), file.class_names
    pairs = {here: file.weights[there] for here, there in pair_names(file.weights, network).items()}
    if not any(name.startswith(CORE) for name in pairs):
        raise nothing_matches(file, network, model)
    differ = theirs is not None and theirs != names
    if differ and not partial:
        raise other_classes(file, names)
    match = _match(file, network, wider, names, pairs, theirs if theirs and differ else names)
    if not any(network[name] for name in (*match.whole, *match.rows)):
        raise nothing_matches(file, network, model)
    if not partial and match.mismatch():
        raise HandboneError(
            f"{file.path}: does not match the network of model '{model}': {match.mismatch()}; "
            f"{WAY_OUT} matches."
        )
    return match


def _match(
    file: TensorFile,
    network: Shapes,
    wider: Callable[[], Shapes],
    names: tuple[str, ...],
    pairs: dict[str, str],
    theirs: tuple[str, ...],
) -> Match:
    """Sort the pairs of tensors; `theirs` are the file's classes, `names` those of the network."""
    same = {name for name, each in pairs.items() if file.shapes[each] == network[name]}
    plain = theirs == names and {*network} - {BIAS} <= same
    by_class = {} if plain else class_dimensions(network, wider(), len(names))
    sources = tuple(theirs.index(name) if name in theirs else None for name in names)
    whole: dict[str, str] = {}
    rows: dict[str, tuple[str, tuple[int, ...]]] = {}
    other: Shapes = {}
    for name, each in pairs.items():
        dims, shape = by_class.get(name), file.shapes[each]
        if name == BIAS:
            fits = shape == (len(theirs),)
        elif name in same and (theirs == names or name not in by_class):
            fits, whole[name] = True, each
        else:
            fits = bool(dims) and theirs != names and _fits(shape, network[name], dims, len(theirs))
            if fits and any(source is not None for source in sources):
                rows[name] = (each, dims or ())
        if not fits:
            other[name] = shape
    heads = {*by_class} - {BIAS}
    bring = plain or (bool(heads) and heads <= {*whole, *rows})
    return Match(
        file=file,
        class_names=names,
        network=network,
        whole=whole,
        rows=rows,
        heads=frozenset(by_class),
        sources=sources,
        brought=tuple(bring and source is not None for source in sources),
        bias=pairs.get(BIAS) if BIAS not in other else None,
        missing=tuple(name for name in network if name not in pairs and name != BIAS),
        extra=tuple(sorted({*file.weights.values()} - {*pairs.values()} - COUNTERS)),
        other_shape=other,
    )


def class_dimensions(network: Shapes, wider: Shapes, classes: int) -> dict[str, tuple[int, ...]]:
    """Tensors that grow with the number of classes -> the dimensions that count classes one by one.

    `wider` has one class more. () where a tensor counts them in another way, several channels a
    class or one for the background, so that nobody knows which channel is whose.
    """
    found = {}
    for name, shape in network.items():
        more = wider.get(name, shape)
        if more == shape or len(more) != len(shape):
            continue
        sides = enumerate(zip(shape, more, strict=True))
        dims = tuple(d for d, (here, there) in sides if here != there)
        one_by_one = all((shape[d], more[d]) == (classes, classes + 1) for d in dims)
        found[name] = dims if one_by_one else ()
    return found


def take_over(match: Match, model: Segmenter) -> None:
    """Copy what matches into a network on the CPU.

    Raises:
        HandboneError: a number of the file is not finite.
    """
    state = own_tensors(model)
    shared = [(here, there) for here, there in enumerate(match.sources) if there is not None]
    ours, theirs = (torch.tensor([each[side] for each in shared]).long() for side in (0, 1))
    brought = torch.tensor(match.brought)
    with torch.no_grad(), match.file.reading() as read:
        for name, source in match.whole.items():
            state[name].copy_(_finite(match, source, read(source)))
        for name, (source, dims) in match.rows.items():
            tensor, content = state[name], _finite(match, source, read(source))
            rows = content[_entries(content, dims, theirs)]
            tensor[_entries(tensor, dims, ours)] = rows.to(tensor.dtype)
        if match.bias is not None and brought.any():
            content = _finite(match, match.bias, read(match.bias)).to(model.bias.dtype)
            model.bias[ours] = torch.where(brought[ours], content[theirs], model.bias[ours])


def _entries(
    tensor: torch.Tensor, dims: tuple[int, ...], rows: torch.Tensor
) -> tuple[torch.Tensor, ...]:
    """An index of a tensor's entries: of some rows along some dimensions, of all along others."""
    sides = [rows if d in dims else torch.arange(side) for d, side in enumerate(tensor.shape)]
    return tuple(
        side.view([-1 if d == place else 1 for d in range(tensor.ndim)])
        for place, side in enumerate(sides)
    )


def _finite(match: Match, name: str, tensor: torch.Tensor) -> torch.Tensor:
    """A tensor of the file, those of 8 bit as float32, for torch does not compute with them."""
    content = tensor.float() if "float8" in str(tensor.dtype) else tensor
    if not torch.isfinite(content).all():
        raise HandboneError(
            f"{match.file.path}: {name} holds numbers that are not finite; use other weights."
        )
    return content


def _fits(
    theirs: tuple[int, ...], ours: tuple[int, ...], dims: tuple[int, ...] | None, classes: int
) -> bool:
    """Whether a tensor for so many classes differs from ours in their number alone."""
    return theirs == tuple(classes if d in (dims or ()) else side for d, side in enumerate(ours))
