"""`hb store verify`: every file of a store read again."""

from __future__ import annotations

import json
from pathlib import Path

import click


@click.command(short_help="Read a store again and name what is torn or changed.")
@click.argument("path", type=Path, metavar="STORE")
@click.option("--forget", is_flag=True, help="Drop the images at fault, so that they are redone.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def verify(path: Path, forget: bool, as_json: bool) -> None:
    """Read every file of STORE: is it whole, as it was written, and where it belongs?

    Exits with 1 where something is wrong. With --forget the images at fault are dropped with their
    files; the same `hb predict` or `hb store import` as before then makes these, and no others.
    """
    from handbone_cli.store import verification
    from handbone_cli.store.store import Store
    from handbone_cli.terminal.progress import progress

    opened = Store.open(path)
    with progress("Reading", after=1.0) as report:
        faults = verification.verify(opened, report)
    stay = verification.forget(opened, faults) if forget and faults else faults
    unhashed = sum(not entry.npz_sha256 for entry in opened.images.values())
    if as_json:
        listed = [
            {"file": str(each.path), "what": each.what, "image": each.image_id,
             "forgotten": each not in stay}
            for each in faults
        ]  # fmt: skip
        said = {"store": str(path), "images": len(opened.images), "unhashed": unhashed}
        click.echo(json.dumps({**said, "faults": listed}))
    else:
        for fault in faults:
            click.echo(str(fault) if fault in stay else f"{fault} Dropped.")
        click.echo(verdict(path, len(opened.images), len(faults), len(stay), unhashed))
    if stay:
        raise click.exceptions.Exit(1)


def verdict(path: Path, images: int, faults: int, stay: int, unhashed: int) -> str:
    """The last line of a verification."""
    note = f" ({unhashed} without a SHA-256: their form alone)" if unhashed else ""
    if not faults:
        return f"{path}: {images} images read{note}, nothing is wrong"
    again = "the same `hb predict` or `hb store import` as before makes them again"
    count = "1 fault" if faults == 1 else f"{faults} faults"
    if stay < faults:
        rest = f", {stay} left" if stay else ""
        return f"{path}: {count}, {faults - stay} dropped{rest}; {again}"
    return (
        f"{path}: {count} in {images} images{note}; `hb store verify {path} --forget` drops the "
        f"images among them, then {again}"
    )
