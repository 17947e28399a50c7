from __future__ import annotations

import pytest

from handbone_cli import HandboneError
from handbone_trackers.extras import require_package


@pytest.mark.parametrize("folder", [False, True])
def test_a_package_that_is_not_there_is_one_sentence(folder, tmp_path, monkeypatch):
    if folder:  # as wandb leaves one where it was used
        (tmp_path / "no_such_tracker").mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(HandboneError) as caught:
        require_package("no_such_tracker")
    assert str(caught.value) == (
        "tracker 'no_such_tracker' needs the package no_such_tracker: "
        "pip install 'handbone[no_such_tracker]', or take 'no_such_tracker' out of "
        "tracking.trackers."
    )


def test_one_that_is_there_is_not():
    require_package("numpy")
