"""Ensembles on the fly: members predict an image and their sum is stored, nothing in between."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from handbone_cli.commands.wiring.filling import Filling, Job
    from handbone_cli.commands.wiring.members import Images, Member
    from handbone_cli.decision.document import Decision
    from handbone_cli.host.interfaces import Sample
    from handbone_cli.host.registry import Registry
    from handbone_cli.prediction.predictor import Predictor, Prepared
    from handbone_cli.recipe.schema import Recipe
    from handbone_cli.runs.directory import RunDirectory
    from handbone_cli.store.boxes import BoxedProbabilities


@dataclass(frozen=True)
class Model:
    """One network of an ensemble, not loaded.

    Attributes:
        run: that has its weights.
        member: which it is of.
        key: of its preprocessing; models of one key see the same pixels.
        prepare: decoded grey -> Prepared.
        load: gives its predictor.
    """

    run: RunDirectory
    member: int
    key: str
    prepare: Callable[[NDArray[Any]], Prepared]
    load: Callable[[], Predictor]


class Ensemble:
    """Members with their decision over some images.

    Attributes:
        decision: weights of the members; None for one that is stored as it is.
        models: of all members, in their order.
    """

    def __init__(
        self,
        members: Sequence[Member],
        images: Images,
        decision: Decision | None,
        registry: Registry,
    ) -> None:
        self.decision = decision
        self.models = [
            model for place, member in enumerate(members)
            for model in models_of(member, place, registry)
        ]  # fmt: skip
        self._images = images
        trained = {model.run: model.run.facts()["trained_persons"] for model in self.models}
        self._trained = {run: set(persons) for run, persons in trained.items()}

    def models_for(self, sample: Sample) -> list[int]:
        """The models that predict an image, in the members' order."""
        chosen = []
        numbers: Counter[int] = Counter()
        for place, model in enumerate(self.models):
            fold = self._images.folds[model.member].get(sample.image_id)
            if fold is None or fold == numbers[model.member]:
                chosen.append(place)
            numbers[model.member] += 1
        return chosen

    def has_seen(self, sample: Sample) -> bool:
        """Whether a model that predicts it was trained on the person."""
        return self._images.own and any(
            sample.person in self._trained[self.models[place].run]
            for place in self.models_for(sample)
        )

    def combine(self, found: Mapping[int, BoxedProbabilities]) -> BoxedProbabilities:
        """The sum of what the models of one image have found: means of folds, then weights."""
        from handbone_cli.decision.summation import mean, summed

        parts: dict[int, list[BoxedProbabilities]] = {}
        for place in sorted(found):
            parts.setdefault(self.models[place].member, []).append(found[place])
        members = [mean(parts[member]) for member in sorted(parts)]
        if self.decision is None:
            return members[0]
        return summed(members, self.decision.weights, self.decision.thresholds)


def models_of(member: Member, place: int, registry: Registry) -> Iterator[Model]:
    """The models of a member."""
    from handbone_cli.commands.wiring.prediction import (
        build_predictor,
        for_network,
        load_model,
        mirror_pairs_of_run,
    )
    from handbone_cli.data.preprocessing import Preprocessing

    recipe, names = member.recipe, member.class_names
    preprocessing = Preprocessing.of(recipe, registry)

    def prepare(grey: NDArray[Any]) -> Prepared:
        return for_network(preprocessing(grey))

    def load(run: RunDirectory) -> Predictor:
        model = load_model(run, recipe, registry, names)
        pairs = mirror_pairs_of_run(run, recipe, registry)
        free_cache()
        return build_predictor(model, recipe, registry, names, tta=recipe.tta, mirror_pairs=pairs)

    for run in member.runs:
        yield Model(run, place, preprocessing.digest, prepare, lambda run=run: load(run))  # type: ignore[misc]


def free_cache() -> None:
    """Give back what torch keeps of a GPU, which a new model's first window would count as its."""
    import torch

    if torch.cuda.is_available():
        torch.cuda.empty_cache()


class Together:
    """All models of an image as one predictor; each is loaded once, when it is first used."""

    def __init__(self, ensemble: Ensemble, loaded: dict[int, Predictor], used: list[int]) -> None:
        self._ensemble, self._loaded, self._used = ensemble, loaded, used

    def prepare(self, grey: NDArray[Any]) -> dict[str, Prepared]:
        """The image as each preprocessing makes it, by key."""
        models = {self._ensemble.models[place].key: place for place in self._used}
        return {key: self._ensemble.models[place].prepare(grey) for key, place in models.items()}

    def begin(self, prepared: Mapping[str, Prepared]) -> Callable[[], BoxedProbabilities]:
        """Every model in its turn; the sum is left. Maps of one model at a time are in memory."""
        models, found = self._ensemble.models, {}
        for place in self._used:
            if place not in self._loaded:
                self._loaded[place] = models[place].load()
            found[place] = self._loaded[place].predict_prepared(prepared[models[place].key])
        return lambda: self._ensemble.combine(found)


def fill_sum(
    paths: Sequence[Path],
    weights: Path | None,
    source: str,
    filling: Filling,
    registry: Registry,
    said: Callable[[Recipe], Recipe],
    max_ram: str | None = None,
) -> tuple[int, list[str]]:
    """Predict every image that the store does not have yet with all members at once.

    Returns how many images there are, and a sentence for every one that cannot be read.

    Args:
        paths: runs and folders of cross-validations.
        weights: a decision; None: the mean.
        source: what -i names.
        filling: where they go and how.
        registry: of the plugins.
        said: lays what the command line says over a recipe.
        max_ram: the most RAM to take, by all processes of this machine; None: what is free.

    Raises:
        HandboneError: members that do not go together or with the decision; too little RAM.
    """
    from handbone_cli.commands.wiring.datasets import dataset_reference
    from handbone_cli.commands.wiring.in_turn import write_in_turn
    from handbone_cli.commands.wiring.members import find_images, open_member, refuse_twice
    from handbone_cli.commands.wiring.memory_plan import parse_memory, plan_memory
    from handbone_cli.commands.wiring.processes import join_others, open_output

    cap = None if max_ram is None else parse_memory(max_ram, "--max-ram")
    members = [open_member(path, registry, said) for path in paths]
    refuse_twice(members)
    members, decision = decide_members(members, weights)
    images = find_images(source, members, registry)
    ensemble = Ensemble(members, images, decision, registry)
    names, settings = members[0].class_names, describe_sum(members, images, decision)
    filling.refuse_masks(names, settings)
    join_others()
    plan = plan_memory(ensemble, members, images.samples, cap, registry)
    order = [sample.image_id for sample in images.samples]
    labels = dataset_reference(members[0].recipe) if images.own else None
    if plan.together:
        jobs = together(ensemble, images.samples)
        return len(order), filling.fill(names, settings, order, labels, jobs)
    store = open_output(filling.output, names, settings, order, labels)
    return len(order), write_in_turn(store, ensemble, images.samples, plan.room, filling.workers)


def together(ensemble: Ensemble, samples: Sequence[Sample]) -> Iterator[Job]:
    """Every sample with all of its models, which stay loaded."""
    loaded: dict[int, Predictor] = {}
    for sample in samples:
        predictor = Together(ensemble, loaded, ensemble.models_for(sample))
        yield sample, predictor, ensemble.has_seen(sample)


def decide_members(
    members: Sequence[Member], weights: Path | None
) -> tuple[list[Member], Decision | None]:
    """The members in their decision's order, without those of no weight for any class.

    The decision is None for one member alone, which is stored as it is.

    Raises:
        HandboneError: other classes; members that are not those of the decision.
    """
    from handbone_cli.commands.wiring.members import refuse_other_classes
    from handbone_cli.decision import document
    from handbone_cli.terminal.progress import say

    first = members[0]
    for member in members[1:]:
        refuse_other_classes(member.path, member.class_names, first.path, first.class_names)
    paths, models = [m.path for m in members], [m.model for m in members]
    if weights is None:
        if len(members) == 1:
            return list(members), None
        rules = [member.settings(out_of_fold=False)["postprocess"] for member in members]
        decision = document.uniform(first.class_names, paths, models, rules)
        if any(rules) and not decision.postprocess:
            say("the members' post-processing differs, so none is applied")
        return list(members), decision
    decision = document.load(weights)
    places = document.places_of(weights, decision, paths, models)
    refuse_other_classes(weights, decision.class_names, first.path, first.class_names)
    used = decision.weights.any(axis=0).nonzero()[0].tolist()
    for place in sorted(set(range(len(places))) - set(used)):
        say(f"{paths[places[place]]}: has no weight in {weights}, so it is not predicted")
    note_other_options(weights, decision, [members[place] for place in places])
    kept = [members[places[place]] for place in used]
    return kept, replace(
        decision,
        weights=decision.weights[:, used],
        members=tuple(member.path for member in kept),
        digests=(),
        models=tuple(member.model for member in kept),
    )


def note_other_options(weights: Path, decision: Decision, members: Sequence[Member]) -> None:
    """A line for each member whose store, if it is still there, was predicted otherwise."""
    from handbone_cli.errors import differences
    from handbone_cli.store.store import MANIFEST, Store
    from handbone_cli.terminal.progress import say

    for path, member in zip(decision.members, members, strict=True):
        if not (path / MANIFEST).exists():
            continue
        then, now = Store.open(path).manifest["settings"], member.settings(out_of_fold=True)
        changed = [
            said for key in ("predict", "tta", "data")
            for said in differences(then.get(key), now[key], key).values()
        ]  # fmt: skip
        if changed:
            say(f"{member.path}: its weight in {weights} was chosen with {', '.join(changed)}")


def describe_sum(
    members: Sequence[Member], images: Images, decision: Decision | None
) -> dict[str, Any]:
    """Everything that the sums depend on besides the images; one member alone says what it is."""
    from handbone_cli.files import digest_json

    each = [
        member.settings(out_of_fold=bool(folds))
        for member, folds in zip(members, images.folds, strict=True)
    ]
    if decision is None:
        return each[0]
    shares = _for_classes(decision, decision.weights)
    parts = [{k: v for k, v in part.items() if k != "postprocess"} for part in each]
    return {
        "model": " + ".join(part["model"] for part in each),
        "weights": digest_json([[part["weights"] for part in each], shares]),
        "members": parts,
        "shares": shares,
        "thresholds": _for_classes(decision, decision.thresholds),
        "postprocess": list(decision.postprocess),
    }


def _for_classes(decision: Decision, values: NDArray[np.float64]) -> Any:
    """One value where all classes have the same, else a table of theirs."""
    if (values == values[0]).all():
        return values[0].tolist()
    return dict(zip(decision.class_names, values.tolist(), strict=True))
