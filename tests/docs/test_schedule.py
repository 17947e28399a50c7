"""The queue of docs/schedule.md is one that can be planned, and what the text says of it is so."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from handbone_cli.host.registry import installed
from handbone_cli.runs.queue.plan import make_plan

TEXT = (Path(__file__).parents[2] / "docs" / "schedule.md").read_text(encoding="utf-8")


def test_the_queue_in_the_text(tmp_path):
    (tmp_path / "winners.toml").write_text(TEXT.split("```toml\n")[1].split("```")[0])
    plan = make_plan(tmp_path / "winners.toml", installed(), 2)
    counts = Counter(job.verb for job in plan.jobs)
    assert counts == {"train": 6, "predict": 12, "ensemble": 2, "submit": 2, "hb": 6}
    assert "6 trainings, 12 stores, a decision and a CSV for each fold, 6 scores" in TEXT
    names = [job.name for job in plan.jobs]
    for name in ("nnunet-lr=0.0001-fold=0", "weigh-fold=0"):
        assert name in names
        assert f"`{name}`" in TEXT
