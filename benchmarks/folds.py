"""How even folds are: `hb data folds` beside the random deal and the known splitters.

python benchmarks/folds.py [GROUPS]    (pip install scikit-learn iterative-stratification)

Every group is 400 simulated people with the shares of the hand-bone competition: 11 % of the wrists
bent, most of them both of a person; two images each, but one of 3 %; sex and age unknown of 5 %.
"""

from __future__ import annotations

import sys
import time
import warnings
from collections import Counter

import numpy as np
from iterstrat.ml_stratifiers import MultilabelStratifiedKFold
from sklearn.model_selection import StratifiedGroupKFold

from handbone_cli.data.folds import assign, balance
from handbone_cli.data.traits import PersonTraits

PEOPLE, BENT, BOTH, ONE_IMAGE, UNKNOWN = 400, 0.11, 0.6, 0.03, 0.05


def simulate(seed):
    """A group of people."""
    rng = np.random.default_rng(seed)
    with_bent = BENT / ((1 - BOTH) / 2 + BOTH)
    people = []
    for number in range(PEOPLE):
        images = 1 if rng.random() < ONE_IMAGE else 2
        bent = (1 + (rng.random() < BOTH)) * (rng.random() < with_bent)
        left = 1 if images == 2 else int(rng.random() < 0.5)
        sex, age = (
            ("female", "male")[rng.random() < 0.55],
            float(np.clip(rng.normal(38, 13), 18, 75)),
        )
        if rng.random() < UNKNOWN:
            sex = age = None
        name, bent = f"ID{number:03d}", min(int(bent), images)
        people.append(PersonTraits(name, images, images, bent, left, images - left, sex, age))
    return people


def quarters(people):
    """Quarter of age of everyone; 4 where it is unknown."""
    ages = np.array([np.nan if each.age is None else each.age for each in people])
    limits = np.nanquantile(ages, (0.25, 0.5, 0.75))
    return np.where(np.isnan(ages), 4, np.searchsorted(limits, ages))


def random_deal(people, folds, seed):
    groups = assign([each.person for each in people], folds, seed)
    return np.array([groups[each.person] for each in people])


def ours(people, folds, seed):
    groups = balance(people, folds, seed)
    return np.array([groups[each.person] for each in people])


def stratified_group(people, folds, seed):
    """One label an image, of pose, sex and age; the person is the group."""
    labels, owners = [], []
    for place, (each, quarter) in enumerate(zip(people, quarters(people), strict=True)):
        for image in range(each.images):
            labels.append(f"{image < each.bent} {each.sex} {quarter}")
            owners.append(place)
    splitter = StratifiedGroupKFold(folds, shuffle=True, random_state=seed)
    found = np.zeros(len(people), int)
    for fold, (_, held_out) in enumerate(splitter.split(labels, labels, owners)):
        found[np.array(owners)[held_out]] = fold
    return found


def iterative(people, folds, seed):
    """Sechidis et al. (2011): a binary column a trait, a row a person."""
    labels = [
        [
            *(each.bent >= 1, each.bent >= 2, each.left == 0, each.right == 0),
            *(each.sex == sex for sex in ("female", "male", None)),
            *(quarter == group for group in range(5)),
        ]
        for each, quarter in zip(people, quarters(people), strict=True)
    ]
    splitter = MultilabelStratifiedKFold(folds, shuffle=True, random_state=seed)
    found = np.zeros(len(people), int)
    for fold, (_, held_out) in enumerate(splitter.split(labels, np.array(labels, int))):
        found[held_out] = fold
    return found


def figures(people, found, folds):
    """Worst deviations of the folds from the whole, and by how many people they differ."""
    images = np.array([each.images for each in people])
    bent, left = (np.array([getattr(each, name) for each in people]) for name in ("bent", "left"))
    sexes = np.array([str(each.sex) for each in people])
    ages = np.array([np.nan if each.age is None else each.age for each in people])
    shares = [(bent, images), (left, images)]
    shares += [((sexes == sex), np.ones_like(images)) for sex in ("female", "male", "None")]
    shares += [((quarters(people) == group), np.ones_like(images)) for group in range(5)]
    pair = ((bent > 0) & (sexes == "female")).astype(int)

    def worst(part, whole):
        each = [part[found == f].sum() / whole[found == f].sum() for f in range(folds)]
        return 100 * max(abs(share - part.sum() / whole.sum()) for share in each)

    sizes = Counter(found.tolist())
    return (
        max(worst(*share) for share in shares),
        worst(*shares[0]),
        worst(pair, np.ones_like(images)),
        max(abs(np.nanmean(ages[found == f]) - np.nanmean(ages)) for f in range(folds)),
        max(sizes.values()) - min(sizes.values()),
    )


def main():
    groups = int(sys.argv[1]) if len(sys.argv) > 1 else 20
    warnings.simplefilter("ignore")
    ways = {
        "random deal": random_deal,
        "StratifiedGroupKFold": stratified_group,
        "iterative stratification": iterative,
        "hb data folds": ours,
    }
    print("| folds | way | worst share | bent | bent women | mean age | sizes | time |")
    print("|---|---|---|---|---|---|---|---|")
    for folds in (5, 10):
        for name, way in ways.items():
            rows, times = [], []
            for seed in range(groups):
                people = simulate(seed)
                started = time.perf_counter()
                found = way(people, folds, seed)
                times.append(time.perf_counter() - started)
                rows.append(figures(people, found, folds))
            share, bent, pair, age, _ = np.mean(rows, axis=0)
            sizes = max(row[-1] for row in rows)
            print(
                f"| {folds} | {name} | {share:.2f} | {bent:.2f} | {pair:.2f} | {age:.2f} y "
                f"| {sizes} | {1000 * np.median(times):.0f} ms |"
            )


if __name__ == "__main__":
    main()
