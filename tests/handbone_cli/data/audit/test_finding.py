from __future__ import annotations

from handbone_cli.data.audit.finding import AuditReport, Finding, Remark, listed, over_limit
from handbone_cli.masks import EMPTY


def test_summaries_are_plain():
    finding = Finding("a", "ID1", "ring", ("finger-14",), 2.34567, "Wide.", (1, 2, 3, 4), ("size",))
    report = AuditReport(2, 1, (finding,), (Remark("sesamoid", "Two.", ("b",)),))
    assert report.summary() == {
        "images": 2,
        "people": 1,
        "findings": [
            {
                "image": "a",
                "person": "ID1",
                "kind": "ring",
                "bones": ["finger-14"],
                "score": 2.346,
                "says": "Wide.",
                "box": [1, 2, 3, 4],
                "also": ["size"],
            }
        ],
        "remarks": [{"kind": "sesamoid", "says": "Two.", "images": ["b"]}],
    }
    assert Finding("a", "p", "missing", (), 1.0, "", EMPTY).summary()["box"] is None


def test_scores_start_at_the_limit_and_end_at_ten():
    assert over_limit(6.0, 6.0) == 1
    assert over_limit(9.0, 6.0) == 1.5
    assert over_limit(1e9, 6.0) == 10


def test_names_are_listed_as_people_do():
    assert listed(["a"]) == "a"
    assert listed(("a", "b")) == "a and b"
    assert listed(["a", "b", "c"]) == "a, b and c"
