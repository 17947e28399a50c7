"""`hb trust`: how far masks are to be trusted, without their truth."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.trust import JudgedFilm
    from handbone_cli.results.retained import Retained

MOST_BONES = 6
LOW = 0.5
"""A bone with a smaller score is to be looked at on a film that is good else."""


@click.command(short_help="Say which masks to look at, without the truth.")
@click.argument("store", type=Path)
@click.option(
    "--against",
    multiple=True,
    type=Path,
    metavar="STORE",
    help="Another prediction of the same images, to agree with; again for more.",
)
@click.option(
    "--below",
    type=click.FloatRange(0, 1),
    default=0.8,
    show_default=True,
    help="List films with a smaller score, and those with a bone under 0.5.",
)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the store's own]")
@click.option("--csv", "csv_path", type=Path, help="Write every film and bone to this file.")
@click.option("--picture", type=Path, help="Draw Dice against the share kept to this file (.svg).")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def trust(
    store: Path, against: tuple[Path, ...], below: float, labels: str | None,
    csv_path: Path | None, picture: Path | None, as_json: bool,
) -> None:  # fmt: skip
    """Score the masks of STORE at one half, film by film and bone by bone: the Dice to expect.

    A score comes of the probabilities, of the shape model of a hand (whether place, size and shape
    of a bone agree with the other bones'), and of what other predictions say. A bone that the hand
    should have on the film has 0. Where there are labels they say how good the scores are.

    \b
    hb trust stores/films
    hb predict pretrained -i films --tta hflip -o stores/mirrored
    hb trust stores/films --against stores/mirrored --csv trust.csv
    hb trust stores/first_val --picture kept.svg
    """
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.trust import as_csv, as_tables, is_trust_csv, judge_store
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign, write_text
    from handbone_cli.host.registry import installed
    from handbone_cli.results.retained import draw_retained, is_retained
    from handbone_cli.store.store import Store

    if csv_path is not None:
        refuse_foreign(csv_path, "a CSV of trust", is_trust_csv)
    if picture is not None:
        if picture.suffix != ".svg":
            raise HandboneError(f"{picture}: the picture is an .svg; give it such a name.")
        refuse_foreign(picture, "a picture of trust", is_retained)
    if store.resolve() in {other.resolve() for other in against}:
        raise HandboneError(f"{store}: agrees with itself; --against is for another prediction.")
    opened = Store.open(store)
    others = [Store.open(other) for other in against]
    truth = open_labels(labels, [opened], opened.class_names, installed())
    if picture is not None and not any(map(truth.has, opened.image_ids)):
        raise HandboneError(
            f"{store}: no image has labels, and without them there is no Dice to draw; name them "
            "with --labels."
        )
    films = judge_store(opened, others, truth)
    curve = curve_of(films)
    if csv_path is not None:
        write_text(csv_path, as_csv(films, opened.class_names))
    if picture is not None and curve is not None:
        write_text(picture, draw_retained(curve, f"Dice against share kept: {opened.name}"))
    if as_json:
        table = {"films": as_tables(films, opened.class_names), "kept": told(curve)}
        click.echo(json.dumps(table))
    else:
        show(films, opened.class_names, below, curve)


def curve_of(films: Sequence[JudgedFilm]) -> Retained | None:
    """Dice against share kept, of the films whose Dice is known; None if there are none."""
    import math

    from handbone_cli.results.retained import retained

    known = [film for film in films if math.isfinite(film.mean_dice)]
    if not known:
        return None
    return retained([film.trust.score for film in known], [film.mean_dice for film in known])


def told(curve: Retained | None) -> dict[str, Any] | None:
    """The curve in a few figures."""
    import math

    from handbone_cli.results.retained import SHARES

    if curve is None:
        return None
    return {
        "films": len(curve.best),
        "spearman": None if math.isnan(curve.correlation) else round(curve.correlation, 4),
        "mean_error": round(curve.error, 4),
        "dice": {f"{share:g}": round(curve.at(share)[0], 4) for share in SHARES},
        "best_dice": {f"{share:g}": round(curve.at(share)[1], 4) for share in SHARES},
    }


def show(
    films: Sequence[JudgedFilm], names: Sequence[str], below: float, curve: Retained | None
) -> None:
    """The films and bones to look at, the worst first; how many they are; what the truth says."""
    from handbone_cli.results.retained import SHARES
    from handbone_cli.terminal.tables import show_table

    rows = [_row(film, names, below) for film in films]
    known = any(film.dice is not None for film in films)
    listed = [row if known else row[:1] + row[2:] for row in rows if row]
    headings = ["score", *(["Dice"] if known else []), "film", "hands", "look at"]
    if listed:
        show_table(headings, listed)
    refused = sum(film.trust.is_refused for film in films)
    doubtful = sum(film.trust.score < below for film in films) - refused
    click.echo(
        f"{len(films)} films: {refused} with no hand to be made out, {doubtful} more below "
        f"{below:g}, {len(films) - refused - doubtful} above"
    )
    if curve is None:
        return
    for share in SHARES:
        own, best = curve.at(share)
        click.echo(f"{share:>5.0%} kept: mean Dice {own:.3f}, {best:.3f} in the best order")
    click.echo(f"Spearman {curve.correlation:.2f}, mean error of a film's score {curve.error:.3f}")


def _row(film: JudgedFilm, names: Sequence[str], below: float) -> list[str]:
    """Cells; none where there is nothing to look at."""
    score, dice = f"{film.trust.score:.2f}", f"{film.mean_dice:.2f}"
    hands = film.trust.evidence.hands
    if film.trust.is_refused:
        return [score, dice, film.name, "0", "no hand to be made out"]
    scores = zip(film.trust.scores, names, strict=True)
    low = sorted((value, name) for value, name in scores if value < max(below, LOW))
    if film.trust.score >= below and not any(value < LOW for value, _ in low):
        return []
    shown = [f"{name} {'missing' if value == 0 else f'{value:.2f}'}" for value, name in low]
    more = [f"and {len(low) - MOST_BONES} more"] if len(low) > MOST_BONES else []
    count = "-" if hands is None else str(hands)
    return [score, dice, film.name, count, ", ".join([*shown[:MOST_BONES], *more])]
