"""`hb store info`: what is in a store."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import click

MIB = 2**20
KIB = 2**10


@click.command(short_help="Say what is in a store.")
@click.argument("path", type=Path, metavar="STORE")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def info(path: Path, as_json: bool) -> None:
    """What STORE holds: images, people, classes, sizes, disk, settings, where the truth is."""
    from handbone_cli.store.store import Store
    from handbone_cli.store.summary import summarise

    facts = summarise(Store.open(path))
    click.echo(json.dumps(facts) if as_json else "\n".join(in_lines(facts)))


def in_lines(facts: dict[str, Any]) -> list[str]:
    """The facts as people read them."""
    asked, count = facts["images_asked_for"], facts["images"]
    of_all = f" of {asked}" if asked != count else ""
    missing = f"; {facts['files_missing']} files are missing" if facts["files_missing"] else ""
    writes = f"; {facts['writer']} writes it now" if facts["writer"] else ""
    sizes = [f"{s['size'][0]} x {s['size'][1]} ({s['images']})" for s in facts["sizes"]]
    more = f" and {len(sizes) - 5} more" if len(sizes) > 5 else ""
    labels = facts["labels"]
    words = {
        "sizes": ", ".join(sizes[:5]) + more,
        "disk": f"{facts['bytes'] / MIB:.2f} MiB, {facts['bytes_an_image'] / KIB:.1f} KiB an image;"
        f" cubes of float16 {facts['against_float16']:.0f} times as much, of float32 "
        f"{facts['against_float32']:.0f}",
        "seen": "not known of imported images"
        if facts["imported"]
        else f"{facts['seen']:.0%} of the images are of people the model was trained on",
        "labels": f"{labels['dataset']} in {labels['root']}" if labels else "none",
        **in_words(facts["settings"]),
        "classes": ", ".join(facts["class_names"]),
    }
    width = max(map(len, words))
    head = f"{facts['store']}: {count}{of_all} images of {facts['people']} people"
    return [
        f"{head}, {len(facts['class_names'])} classes{missing}{writes}",
        *(f"{name.ljust(width)}  {text}" for name, text in words.items()),
    ]


def in_words(settings: dict[str, Any]) -> dict[str, str]:
    """The settings by name, those of a sum's members a line each."""
    members = settings.get("members", [])
    words = {key: shown(value) for key, value in settings.items() if key != "members"}
    return words | {f"member {n}": shown(each) for n, each in enumerate(members, start=1)}


def shown(value: object) -> str:
    """A setting in a line: `window=1024 stride=512`, nothing as `none`."""
    if isinstance(value, dict):
        return " ".join(f"{key}={shown(each)}" for key, each in value.items()) or "none"
    if isinstance(value, list):
        return ", ".join(map(shown, value)) or "none"
    return "none" if value is None else str(value)
