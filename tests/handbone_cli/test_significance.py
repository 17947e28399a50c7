from __future__ import annotations

import numpy as np
import pytest

from handbone_cli.significance import holm


@pytest.mark.parametrize("p", [[0.01, 0.04, 0.03, 0.005], [0.5, 0.6], [0.2], [0.02, 0.02, 0.9]])
def test_holm_by_its_definition(p):
    """Rejected at a level just where the step-down procedure rejects."""
    adjusted = holm(np.array(p))
    for level in np.linspace(0.001, 0.999, 200):
        rejected = set()
        for step, place in enumerate(np.argsort(p, kind="stable")):
            if p[place] > level / (len(p) - step):
                break
            rejected.add(int(place))
        assert rejected == set(np.flatnonzero(adjusted <= level).tolist())


def test_holm_by_hand():
    np.testing.assert_allclose(holm(np.array([0.01, 0.04, 0.03, 0.005])), [0.03, 0.06, 0.06, 0.02])
