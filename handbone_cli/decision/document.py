"""The decision file: members, weights, thresholds and rules, as TOML that people can read."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from handbone_cli.errors import HandboneError
from handbone_cli.files import require, write_text
from handbone_cli.recipe.load import parse_toml
from handbone_cli.store.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

FORMAT = 2
READ = (1, 2)
"""Formats that are read; in 1 there was no [search], its words stood in [scores]."""
JOIN = "+"
"""Between the digests of several models, each of which predicted a part of a store."""
HALF = 0.5
"""The threshold of whatever names none."""
MARK = b"# Written by `hb "
HEADER = "# Written by `hb ensemble optimize`; read by submit, evaluate and visualize.\n"
ALL_IN = (
    "# --all-in: taken as found on all people, whatever the verdict; on others expect a gain of\n"
    "# `searched_gain` in [scores], not of `in_sample_gain`.\n"
)


@dataclass(frozen=True, eq=False)
class Decision:
    """How probabilities become masks.

    Attributes:
        class_names: C names.
        weights: (C, M), rows sum to 1.
        thresholds: (C,), a pixel is bone where sum(w q) > 255 t.
        members: the stores' paths.
        digests: what those stores held when the weights were chosen.
        models: the digests of the weights that the stores were predicted with.
        postprocess: spatial rules by name, with their options.
        scores: what was measured when choosing.
        search: how it was chosen: scope, method, metric, thresholds, folds, seed.
    """

    class_names: tuple[str, ...]
    weights: NDArray[np.float64]
    thresholds: NDArray[np.float64]
    members: tuple[Path, ...]
    digests: tuple[str, ...] = ()
    models: tuple[str, ...] = ()
    postprocess: tuple[dict[str, Any], ...] = ()
    scores: dict[str, Any] = field(default_factory=dict)
    search: dict[str, Any] = field(default_factory=dict)

    def on(self, members: Sequence[Path]) -> Decision:
        """The same decision for other stores of the same models, in the same order."""
        if len(members) != len(self.members):
            raise HandboneError(
                f"the decision has {len(self.members)} members "
                f"({', '.join(path.name for path in self.members)}); got {len(members)} stores."
            )
        return replace(self, members=tuple(members), digests=())


def of_store(path: Path, store: Store) -> Decision:
    """One store alone with the rules of its recipe, at one half.

    A sum of models that was predicted by a decision has that one's thresholds and rules.
    """
    names, settings = store.class_names, store.manifest["settings"]
    noted = settings.get("thresholds", HALF)
    try:
        each = [noted[name] for name in names] if isinstance(noted, dict) else [noted] * len(names)
        thresholds = np.array(each, np.float64)
    except (KeyError, TypeError, ValueError) as error:
        raise HandboneError(
            f"{store.path}: its manifest's thresholds are not one number a class ({error})."
        ) from error
    rules = settings.get("postprocess", [])
    return Decision(names, np.ones((len(names), 1)), thresholds, (path,), postprocess=tuple(rules))


def uniform(
    class_names: Sequence[str],
    members: Sequence[Path],
    models: Sequence[str],
    rules: Sequence[Sequence[dict[str, Any]]],
) -> Decision:
    """The mean of all members at one half, with the rules that they agree on."""
    shape = len(class_names), len(members)
    return Decision(
        tuple(class_names),
        np.full(shape, 1 / len(members)),
        np.full(len(class_names), HALF),
        tuple(members),
        models=tuple(models),
        postprocess=shared_rules(rules),
    )


def shared_rules(rules: Sequence[Sequence[dict[str, Any]]]) -> tuple[dict[str, Any], ...]:
    """The spatial rules of all members, where they agree; none where they differ."""
    return tuple(rules[0]) if all(list(each) == list(rules[0]) for each in rules) else ()


def places_of(
    path: Path, decision: Decision, runs: Sequence[Path], models: Sequence[str]
) -> list[int]:
    """Which run has the weights of each of the decision's members, whatever the runs' order.

    Args:
        path: of the decision.
        decision: its members know the digests of their models.
        runs: as they were named.
        models: their digests as `model_of` gives them, no two alike.

    Raises:
        HandboneError: a member whose run is not there, or two of one run; a run that is no member.
    """
    for place, model in enumerate(decision.models):
        member = decision.members[place]
        if model in decision.models[:place]:
            first = decision.members[decision.models.index(model)]
            raise HandboneError(
                f"{path}: its members {first} and {member} were predicted with the same weights, "
                "which a run brings but once; predict a store for each, and decide with --on."
            )
        if model not in models:
            folds = len(model.split(JOIN))
            what = (
                f"the folder of the cross-validation of {folds} folds" if folds > 1 else "the run"
            )
            others = [str(run) for run, has in zip(runs, models, strict=True)
                      if has not in decision.models]  # fmt: skip
            hint = f" ({', '.join(others)}: other weights)" if others else ""
            raise HandboneError(
                f"{path}: no RUN has the weights that its member {member} was predicted with"
                f"{hint}; name {what} that predicted it."
            )
    for run, model in zip(runs, models, strict=True):
        if model not in decision.models:
            raise HandboneError(
                f"{run}: none of the members of {path} was predicted with its weights; leave it "
                "out, or choose weights for it too (hb ensemble optimize)."
            )
    return [models.index(model) for model in decision.models]


def save(decision: Decision, path: Path) -> None:
    """Write the decision; member paths are kept relative to the file where they can be."""
    import tomli_w

    names = decision.class_names
    members = [
        {"store": _relative(member, path.parent), "digest": digest, "model": model}
        for member, digest, model in zip(
            decision.members, decision.digests, decision.models, strict=True
        )
    ]
    document = {
        "format": FORMAT,
        "class_names": list(names),
        "search": decision.search,
        "scores": decision.scores,
        "weights": {n: row.tolist() for n, row in zip(names, decision.weights, strict=True)},
        "thresholds": {n: float(t) for n, t in zip(names, decision.thresholds, strict=True)},
        "members": members,
        "postprocess": list(decision.postprocess),
    }
    head = HEADER + ALL_IN * bool(decision.search.get("all_in"))
    write_text(path, head + tomli_w.dumps(document))


def is_decision(head: bytes) -> bool:
    """Whether a file that begins so is a decision as `save` writes it."""
    return head.startswith(MARK)


def load(path: Path) -> Decision:
    """Read a decision; one sentence if it is not one."""
    table = parse_toml(require(path, "a decision (.toml) that `hb ensemble optimize` writes"))
    try:
        if table["format"] not in READ:
            raise HandboneError(
                f"{path}: is a decision of format {table['format']}; this handbone reads 1 and 2."
            )
        names = tuple(table["class_names"])
        decision = Decision(
            names,
            np.array([table["weights"][name] for name in names], np.float64),
            np.array([table["thresholds"][name] for name in names], np.float64),
            tuple(path.parent / member["store"] for member in table["members"]),
            tuple(member["digest"] for member in table["members"]),
            tuple(member["model"] for member in table["members"]),
            tuple(table.get("postprocess", [])),
            dict(table.get("scores", {})),
            dict(table.get("search", {})),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise HandboneError(
            f"{path}: not a decision file ({error} is missing or wrong)."
        ) from error
    if decision.weights.shape != (len(names), len(decision.members)):
        raise HandboneError(f"{path}: every bone needs one weight a member.")
    if ((decision.thresholds <= 0) | (decision.thresholds >= 1)).any():
        raise HandboneError(f"{path}: a bone's threshold must lie between 0 and 1.")
    if not np.allclose(decision.weights.sum(axis=1), 1) or (decision.weights < 0).any():
        raise HandboneError(f"{path}: a bone's weights must be 0 or more and sum to 1.")
    return decision


def model_of(store: Store) -> str:
    """The digest of the weights that a store was predicted with; of several models theirs, by +."""
    weights = store.manifest["settings"].get("weights", "")
    return JOIN.join(weights) if isinstance(weights, list) else str(weights)


def open_members(decision: Decision) -> list[Store]:
    """The decision's stores, refused if classes, models, contents or images are not its own."""
    stores = [Store.open(path) for path in decision.members]
    for store in stores:
        if store.class_names != decision.class_names:
            raise HandboneError(f"{store.path}: has other classes than the rest of the ensemble.")
    for store, model in zip(stores, decision.models, strict=False):
        if model_of(store) != model:
            if JOIN in model:
                raise HandboneError(
                    f"{store.path}: was predicted with one model, and the weights in this place "
                    f"were chosen for the models of {len(model.split(JOIN))} folds, on people left "
                    "out; predict with the mean of them (hb predict FOLDER, that of hb train "
                    "--fold all), or at once with all members (hb predict FOLDER ... --weights)."
                )
            raise HandboneError(
                f"{store.path}: was not predicted with the model that the weights in this place "
                "were chosen for; give the stores in the order of the decision's members."
            )
    for store, digest in zip(stores, decision.digests, strict=False):
        if store.digest() != digest:
            raise HandboneError(
                f"{store.path}: has changed since the weights were chosen; run `hb ensemble "
                "optimize` again, or name the stores to decide with --on."
            )
    first = stores[0]
    for store in stores[1:]:
        check_same_images(first, store)
    return stores


def check_same_images(first: Store, second: Store) -> None:
    """Refuse stores without a common image, or with one image at two sizes."""
    shared = [name for name in first.image_ids if name in second.images]
    if not shared:
        raise HandboneError(f"{first.path} and {second.path} have no image in common.")
    for name in shared:
        a, b = first.images[name], second.images[name]
        if (a.height, a.width) != (b.height, b.width) or (a.sha256 != b.sha256):
            raise HandboneError(f"{second.path}: '{name}' is another image than in {first.path}.")


def _relative(path: Path, start: Path) -> str:
    import os

    return Path(os.path.relpath(path.resolve(), start.resolve())).as_posix()
