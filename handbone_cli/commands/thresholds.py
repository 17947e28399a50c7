"""`hb thresholds`: from what probability on a pixel is bone."""

from __future__ import annotations

from pathlib import Path

import click

from handbone_cli.commands.judged import judged


@click.group()
def thresholds() -> None:
    """Choose the probability from which on a pixel is bone."""


@thresholds.command()
@click.argument("stores", nargs=-1, required=True, type=Path)
@click.option(
    "--range", "limits", nargs=2, type=float, default=(0.2, 0.8), show_default=True,
    metavar="LOW HIGH", help="Where to look, in steps of 1/255; one half lies in it.",
)  # fmt: skip
@judged
def optimize(
    stores: tuple[Path, ...],
    labels: str | None,
    limits: tuple[float, float],
    allow_seen: bool,
    all_in: bool,
    folds: int,
    seed: int,
    picture: Path | None,
    workers: int | None,
    output: Path,
) -> None:
    """Choose a threshold for every bone of a store, or of the mean of several STORES.

    It is exact, and judged on people left out: one half stays where no other threshold gains more
    than one standard error there. To choose weights too: `hb ensemble optimize --thresholds joint`.

    \b
    hb thresholds optimize stores/nnunet_val -o nnunet.toml
    hb submit nnunet.toml --on stores/nnunet_test -o submission.csv
    """
    from handbone_cli.commands.wiring.deciding import decide
    from handbone_cli.decision.ensemble import Settings

    settings = Settings(
        method="uniform",
        thresholds="after",
        limits=limits,
        folds=folds,
        seed=seed,
        allow_seen=allow_seen,
        all_in=all_in,
    )
    decide(stores, labels, settings, output, picture=picture, workers=workers)
