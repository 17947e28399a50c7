from __future__ import annotations

import pytest

from handbone_cli import HandboneError
from handbone_models.pretrained import explain_failure


def test_a_failure_of_the_file_system_is_not_taken_for_the_network():
    with pytest.raises(PermissionError), explain_failure("m", "e", pretrained=False):
        raise PermissionError("denied")


@pytest.mark.parametrize(
    ("error", "reason"), [(KeyError("No weights."), "No weights"), (AssertionError(), "")]
)
def test_other_failures_keep_their_reason(error, reason):
    with pytest.raises(HandboneError) as caught, explain_failure("m", "e", pretrained=False):
        raise error
    assert (
        str(caught.value) == f"model 'm' cannot use encoder 'e': {reason}; choose another encoder."
    )
