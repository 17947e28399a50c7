from __future__ import annotations

import pytest
import torch
from segmentation_models_pytorch import losses


def test_hand_computed(build, pack):
    logits = torch.tensor([2.0, -0.5, 0.5]).view(1, 1, 1, 3)
    targets = torch.tensor([1, 1, 0]).view(1, 1, 1, 3)
    # Hinge errors -1, 1.5, 1.5. With the bone's pixel first: Jaccard losses of growing sets of
    # wrong pixels 1/2, 2/3, 1; with the other first 1/3, 2/3: the pair is worth 2/3 either way.
    assert build("lovasz")(logits, pack(targets)).item() == pytest.approx(1.5 * 2 / 3)


@pytest.mark.parametrize("whole", [True, False])
def test_the_mean_of_smp_on_each_class(build, batch, pack, whole):
    logits, targets = batch
    theirs = losses.LovaszLoss("binary", per_image=not whole)
    each = [theirs(logits[:, c], targets[:, c].float()).item() for c in range(9)]
    ours = build("lovasz", batch=whole)(logits, pack(targets))
    assert ours.item() == pytest.approx(sum(each) / 9, rel=1e-6)
    joint = losses.LovaszLoss("multilabel", per_image=not whole)(logits, targets.float())
    assert ours.item() != pytest.approx(joint.item(), rel=1e-3)
