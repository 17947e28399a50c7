from __future__ import annotations

from handbone_cli.terminal.metric_table import show_metrics

SENTENCE = (
    "2 bones are in the masks or in the labels alone: endlessly far, and left out of the distances "
    "(--penalise counts the image's diagonal)"
)


def row(heading, mean, by="bone", **others):
    given = {"by": by, "bone": None, "heading": heading, "metric": heading.split("@")[0].split()[0]}
    figures = {"mean": mean, "standard_error": None, "median": mean, "images": 4, "people": 2}
    unit = heading[-2:] if heading.endswith("px") else ""
    tolerance = 2.0 if "@" in heading else None
    return {**given, **figures, "unit": unit, "tolerance": tolerance, "left_out": 0, **others}


def test_a_table_of_bones_one_of_pairs_and_the_sentences(capsys):
    table = [
        row("dice", 0.9, bone="Radius"),
        row("hd px", 3.25, bone="Radius", left_out=2),
        row("nsd@2px", 0.5, bone="Radius"),
        row("dice", 1.0, bone="Ulna"),
        row("hd px", None, bone="Ulna"),
        row("nsd@2px", None, bone="Ulna"),
        row("overlap_dice", 0.25, bone="Radius+Ulna"),
    ]
    overall = [
        row("hd px", 3.25, by="all", standard_error=0.5, median=3.0, left_out=2),
        row("extra", None, by="all"),
    ]
    show_metrics([table], overall, "val")
    assert capsys.readouterr().out.splitlines() == [
        "val",
        "bone    images  dice    hd px  nsd@2px  left out",
        "Radius  4       0.9000  3.25   0.5000   2",
        "Ulna    4       1.0000  -      -        0",
        "overlap      images  overlap_dice",
        "Radius+Ulna  4       0.2500",
        "mean hd px 3.2500 +- 0.5000 (standard error, 2 people), median 3.0000, 4 images",
        "extra: there is nothing to measure",
        SENTENCE,
    ]


def test_crossed_keys_and_nothing_left_out(capsys):
    table = [row("dice", 0.5, by="bone+side", bone="Radius", side="left")]
    show_metrics([table], [row("dice", 0.5, by="all")], "val")
    assert capsys.readouterr().out.splitlines() == [
        "val",
        "bone    side  images  dice",
        "Radius  left  4       0.5000",
        "mean dice 0.5000, median 0.5000, 4 images",
    ]
