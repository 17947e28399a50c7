from __future__ import annotations

from importlib.metadata import EntryPoint

import pytest
import torch

from handbone_cli import HandboneError, LossContext
from handbone_cli.host.registry import collect

LOGITS = torch.tensor([[2.0, -1.0, 0.5, -3.0]]).view(1, 1, 2, 2)
LABELS = torch.tensor([[1, 0, 1, 0]], dtype=torch.uint8).view(1, 2, 2, 1)


@pytest.fixture(scope="module")
def build():
    registry = collect([EntryPoint("losses", "handbone_losses", "handbone")])

    def build_loss(name, options):
        return registry.build("losses", name, options, context)

    context = LossContext(("radius",), build_loss)
    return build_loss


def combined(build, *terms):
    return build("combined", {"terms": list(terms)})


def test_the_sum_of_weighted_losses_with_their_own_options(build):
    terms = {"name": "dice", "weight": 0.4, "smooth": 5}, {"name": "focal", "gamma": 1.0}
    expected = 0.4 * build("dice", {"smooth": 5})(LOGITS, LABELS)
    expected = expected + build("focal", {"gamma": 1.0})(LOGITS, LABELS)
    loss = combined(build, *terms)
    assert loss(LOGITS, LABELS).item() == pytest.approx(expected.item())
    assert loss(LOGITS.half(), LABELS).dtype == torch.float32


def test_losses_with_parameters_train_with_the_combination():
    class Scaled(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.scale = torch.nn.Parameter(torch.ones(()))

        def forward(self, logits, labels):
            return self.scale * logits.mean()

    from handbone_losses.combined import CombinedLoss

    loss = CombinedLoss([(0.5, Scaled()), (2.0, lambda logits, _: logits.sum())])
    assert len(list(loss.parameters())) == 1
    assert loss(LOGITS, LABELS).item() == pytest.approx(0.5 * -0.375 + 2 * -1.5)


@pytest.mark.parametrize(
    ("terms", "message"),
    [
        ([], "option 'terms': Value error, a combination needs at least one loss."),
        (
            [{"name": "dice"}, {"name": "bce"}, {"name": "dice", "smooth": 2}],
            "option 'terms': Value error, 'dice' is named twice, give it one weight.",
        ),
        (
            [{"name": "dice", "weight": -1}],
            "option 'terms.0.weight': Input should be greater than 0.",
        ),
        ([{"weight": 1}], "option 'terms.0.name': Field required."),
    ],
)
def test_mistakes_in_terms_are_one_sentence(build, terms, message):
    with pytest.raises(HandboneError) as caught:
        combined(build, *terms)
    assert str(caught.value) == f"loss 'combined', {message}"


def test_an_unknown_loss_or_option_is_answered_with_the_known(build):
    with pytest.raises(HandboneError, match=r"is named 'dise'\. Did you mean 'dice'"):
        combined(build, {"name": "dise"})
    with pytest.raises(HandboneError, match=r"'dice', option 'smoth': .* Did you mean 'smooth'"):
        combined(build, {"name": "dice", "smoth": 2})
