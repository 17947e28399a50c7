from __future__ import annotations

from handbone_cli.results.legend import Entry, draw_legend, row_height

RED = (250, 10, 20)


def test_rows_share_the_height_within_limits():
    assert [row_height(29, height) for height in (100, 900, 5000)] == [17, 30, 44]


def test_what_the_height_does_not_hold_goes_on_in_further_columns():
    entries = [Entry(f"bone {number}", RED) for number in range(12)]
    tall, low = draw_legend(entries, 400, 20), draw_legend(entries, 100, 20)
    assert tall.shape[0] == 400
    assert low.shape[0] == 100
    assert low.shape[1] > 2.5 * tall.shape[1]
    squares = [(legend == RED).all(axis=2).sum() for legend in (tall, low)]
    assert squares[0] == squares[1] > 0


def test_a_dim_entry_has_only_a_frame():
    full, frame = (draw_legend([Entry("x", RED, dim=dim)], 60, 30) for dim in (False, True))
    assert (frame == RED).all(axis=2).sum() < 0.5 * (full == RED).all(axis=2).sum()


def test_an_entry_without_colour_has_no_swatch():
    assert not (draw_legend([Entry("x", None, "1.000")], 60, 30) == RED).all(axis=2).any()
