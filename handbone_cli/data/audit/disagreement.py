"""Labels against out-of-fold predictions: how far below its usual Dice a bone is."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from handbone_cli.data.audit.finding import over_limit
from handbone_cli.errors import HandboneError
from handbone_cli.masks import EMPTY, PackedMask
from handbone_cli.scores import dice_per_class

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

    from handbone_cli.data.audit.finding import Finding
    from handbone_cli.data.audit.labelled_image import LabelledImage
    from handbone_cli.store.boxes import BoxedProbabilities
    from handbone_cli.store.store import Store

HALF = 127  # q above it is more than one half
LEAST_LOSS = 0.02  # 1 - Dice that models differ by anyway
LIMIT = 4.0  # times the usual 1 - Dice of the bone
LEAST_DISAGREEMENT = 0.1  # 1 - Dice below which a label is close enough


def require_out_of_fold(store: Store, class_names: Sequence[str], images: set[str]) -> None:
    """Refuse a store of other classes or images, or of a model trained on these people.

    Raises:
        HandboneError: naming the store and what to predict instead.
    """
    if list(store.class_names) != list(class_names):
        raise HandboneError(
            f"{store.path}: has other classes ({len(store.class_names)}) than the labels "
            f"({len(class_names)}); give a store predicted for this dataset."
        )
    shared = [name for name in store.images if name in images]
    if not shared:
        raise HandboneError(f"{store.path}: holds none of the labelled images; predict them first.")
    seen = [name for name in shared if store.images[name].seen]
    if seen:
        raise HandboneError(
            f"{store.path}: its model was trained on {len(seen)} of these images ({seen[0]}, ...), "
            "so its agreement proves nothing; give a store of the people left out "
            "(hb predict RUN -i val)."
        )


def disagreements(image: LabelledImage, probabilities: BoxedProbabilities) -> NDArray[np.float64]:
    """1 - Dice of the label and of the prediction at one half, for every class: (C,).

    Raises:
        HandboneError: the prediction is of an image of another size.
    """
    if probabilities.size != image.size:
        raise HandboneError(
            f"{image.image_id}: its prediction is of {probabilities.size} px, the image of "
            f"{image.size}; predict it again."
        )
    classes = len(image.class_names)
    predicted = PackedMask.empty(image.size, classes)
    for index in range(classes):
        box = probabilities.box(index)
        if box != EMPTY:
            predicted.add(index, box, probabilities.crops[index] > HALF)
    labels = PackedMask.from_polygons(image.parts, image.size, classes)
    return 1 - dice_per_class(predicted, labels)


def disagreement_findings(
    images: Mapping[str, LabelledImage], losses: Mapping[str, NDArray[np.float64]]
) -> list[Finding]:
    """Labels that the prediction misses by `LIMIT` times what it usually does for that bone."""
    if not losses:
        return []
    usual = np.maximum(np.median(np.array(list(losses.values())), axis=0), LEAST_LOSS)
    findings = []
    for image_id, loss in losses.items():
        image = images[image_id]
        wrong = (loss >= LIMIT * usual) & (loss >= LEAST_DISAGREEMENT)
        for index in np.flatnonzero(wrong).tolist():
            name = image.class_names[index]
            says = (
                f"{name} has a Dice of {1 - loss[index]:.2f} with the prediction, "
                f"usually {1 - usual[index]:.2f}."
            )
            score = over_limit(float(loss[index] / usual[index]), LIMIT)
            findings.append(image.finding("disagreement", [name], score, says))
    return findings
