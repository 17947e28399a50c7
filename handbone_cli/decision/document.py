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
    """One store alone at one half, with the rules of its recipe."""
    classes = len(store.class_names)
    rules = store.manifest["settings"].get("postprocess", [])
    return Decision(
        store.class_names,
        np.ones((classes, 1)),
        np.full(classes, 0.5),
        (path,),
        postprocess=tuple(rules),
    )


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
                    "out; choose weights on stores of one fold (hb predict RUN -i val) to decide "
                    "on other images with its run."
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
