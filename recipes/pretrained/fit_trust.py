"""Fits the scores of `hb trust` on drawn films, whose truth is known, and says how good they are.

python recipes/pretrained/fit_trust.py pretrained -o handbone_cli/trust/score_model.json
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from handbone_cli import PackedMask, __version__, write_json
from handbone_cli.commands.wiring.prediction import build_predictor, load_model, open_run
from handbone_cli.commands.wiring.prediction_options import with_options
from handbone_cli.host.registry import installed
from handbone_cli.results.retained import SHARES, retained
from handbone_cli.store.boxes import BoxedProbabilities
from handbone_cli.terminal.progress import progress
from handbone_cli.trust.evidence import Evidence, gather
from handbone_cli.trust.film import FilmTrust, dice_at_half
from handbone_cli.trust.score_model import ScoreModel
from handbone_datasets.generated import GeneratedOptions, build

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from numpy.typing import NDArray


SIZE, SEED, FOLDS = 512, 99, 5
LEAST_TO_PLANT = 4
OTHER = ("hflip",)
"""Views of the prediction that the scored one, which has none, is to agree with."""


class Film(NamedTuple):
    """What speaks for a film, its truth, and whose it is."""

    evidence: Evidence
    dice: NDArray[np.float64]
    person: str


def films(run: Path, people: int) -> Iterator[tuple[Film, int]]:
    """Films of any kind, and a fifth as many of the study's, predicted twice; how many are to come.

    Nothing is refused here: what is no hand must be learnt.
    """
    registry = installed()
    directory = open_run(run)
    stored = directory.recipe(registry)
    said = {**stored.model.model_dump(), "refuse": False}
    recipe = stored.model_copy(update={"model": type(stored.model)(**said)})
    names = directory.facts()["class_names"]
    model = load_model(directory, recipe, registry, names)
    once, mirrored = (
        build_predictor(model, recipe, registry, names, tta=tta, mirror_pairs=())
        for tta in ((), with_options(recipe, registry, {}, OTHER).tta)
    )
    samples = [
        sample
        for kind, count in (("any", people), ("study", max(people // 5, 1)))
        for sample in build(
            GeneratedOptions(people=count, size=SIZE, generator_seed=SEED, films=kind), None
        ).samples("train")
    ]
    for number, sample in enumerate(samples):
        grey = sample.read_image()
        found, other = once.predict(grey), mirrored.predict(grey)
        truth = PackedMask.from_labels(sample.read_labels(), found.size, len(names))
        kind = "any" if number < 2 * people else "study"
        person = f"{kind} {sample.person}"
        rng = np.random.default_rng((SEED, number))
        for seen in (found, planted(found, rng)):
            evidence = gather(seen, names, [other])
            yield Film(evidence, dice_at_half(seen, truth), person), 2 * len(samples)


def planted(found: BoxedProbabilities, rng: np.random.Generator) -> BoxedProbabilities:
    """The same film with sure mistakes: two bones that exchange names, one moved, one lost."""
    there = rng.permutation(np.flatnonzero([crop.size for crop in found.crops]))
    if len(there) < LEAST_TO_PLANT:
        return found
    boxes, crops = found.boxes.copy(), list(found.crops)
    a, b, moved, lost = (int(place) for place in there[:LEAST_TO_PLANT])
    boxes[[a, b]], (crops[a], crops[b]) = boxes[[b, a]], (crops[b], crops[a])
    y0, y1, x0, x1 = found.box(moved)
    across = round((x1 - x0) * float(rng.uniform(-1, 1)))
    down = round((y1 - y0) * float(rng.uniform(-1, 1)))
    across = int(np.clip(across, -x0, found.size[1] - x1))
    down = int(np.clip(down, -y0, found.size[0] - y1))
    boxes[moved] += (down, down, across, across)
    boxes[lost], crops[lost] = 0, np.zeros((0, 0), np.uint8)
    return BoxedProbabilities(found.size, boxes, tuple(crops))


def judged(known: Sequence[Film]) -> list[FilmTrust]:
    """Every film by scores that were fitted to other people's."""
    groups = {
        person: place % FOLDS for place, person in enumerate(sorted({f.person for f in known}))
    }
    models = [fitted([f for f in known if groups[f.person] != fold]) for fold in range(FOLDS)]
    return [
        FilmTrust(models[groups[film.person]].scores(film.evidence), film.evidence)
        for film in known
    ]


def fitted(known: Sequence[Film]) -> ScoreModel:
    """Scores fitted to these films."""
    return ScoreModel.fit([film.evidence for film in known], [film.dice for film in known])


def tell(known: Sequence[Film], trusts: Sequence[FilmTrust]) -> dict[str, object]:
    """How good the scores of people left out are, in words and figures."""
    pairs = [
        (trust.score, float(np.nanmean(film.dice)))
        for film, trust in zip(known, trusts, strict=True)
        if np.isfinite(film.dice).any()
    ]
    curve = retained(*map(list, zip(*pairs, strict=True)))
    right = [np.nansum(film.dice) > 0 for film in known]
    hands = [trust for trust, is_right in zip(trusts, right, strict=True) if is_right]
    others = [trust for trust, is_right in zip(trusts, right, strict=True) if not is_right]
    figures: dict[str, object] = {
        "films": len(pairs),
        "spearman": round(curve.correlation, 3),
        "mean_error": round(curve.error, 3),
        "dice_kept": {f"{share:g}": round(curve.at(share)[0], 3) for share in SHARES},
        "dice_kept_at_best": {f"{share:g}": round(curve.at(share)[1], 3) for share in SHARES},
        "refused_without_a_bone_right": f"{sum(t.is_refused for t in others)}/{len(others)}",
        "refused_of_the_rest": f"{sum(t.is_refused for t in hands)}/{len(hands)}",
    }
    for name, value in figures.items():
        sys.stdout.write(f"{name}: {value}\n")
    return figures


def main() -> None:
    """Predict, fit, judge on people left out, write."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", type=Path)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("-o", "--output", type=Path, required=True)
    asked = parser.parse_args()
    known = []
    with progress("Predicting") as report:
        for film, total in films(asked.run, asked.people):
            known.append(film)
            report(len(known), total)
    figures = tell(known, judged(known))
    coefficients = fitted(known).coefficients
    write_json(
        asked.output,
        {"handbone": __version__, "left_out": figures, "coefficients": dict(coefficients)},
    )


if __name__ == "__main__":
    main()
