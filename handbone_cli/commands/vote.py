"""`hb ensemble vote`: masks of several models to one, pixel by pixel."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import TYPE_CHECKING

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.mask_members import KnownImages
    from handbone_cli.decision.staple import Staple
    from handbone_cli.decision.vote import VotedMasks
    from handbone_cli.masks import MaskSource, PackedMask


@click.command(short_help="Make one CSV of several masks by voting.")
@click.argument("masks", nargs=-1, required=True, type=Path)
@click.option("--weights", metavar="W,W,...", help="A weight for every file.  [default: all 1]")
@click.option(
    "--share",
    default="0.5",
    show_default=True,
    metavar="S",
    help="Bone is where more than this share of the weights is.",
)
@click.option("--by-bone", type=Path, metavar="TOML", help="Other shares and weights by bone.")
@click.option(
    "--replace",
    "replacements",
    multiple=True,
    metavar="BONES=MASKS",
    help="Take these bones or groups from another file; again for more.",
)
@click.option("--staple", is_flag=True, help="Estimate the truth by STAPLE in place of counting.")
@click.option("--labels", help="Recipe or folder with the images of the CSVs, for their sizes.")
@click.option("--size", metavar="ROWSxCOLUMNS", help="Of all images of the CSVs.")
@click.option(
    "--suffix", help="Of image names in the CSV.  [default: as in the first CSV, or .png]"
)
@click.option("-o", "--output", type=Path, required=True, help="CSV to write.")
def vote(
    masks: tuple[Path, ...], weights: str | None, share: str, by_bone: Path | None,
    replacements: tuple[str, ...], staple: bool, labels: str | None, size: str | None,
    suffix: str | None, output: Path,
) -> None:  # fmt: skip
    """Vote on MASKS: submissions (.csv, .csv.gz), stores, decisions (.toml) or labels.

    Bone is where more than half of the files have it. Images, their names and their order are those
    of the first file; all need the same images and bones. CSVs alone need no size, but for
    --staple.

    Groups are thumb, index, middle, ring, little, fingers, carpals and forearm.

    \b
    hb ensemble vote a.csv b.csv c.csv -o vote.csv
    hb ensemble vote a.csv b.csv.gz stores/c_test --weights 2,1,1 -o vote.csv
    hb ensemble vote a.csv b.csv c.csv --replace Triquetrum,Pisiform=b.csv -o vote.csv
    hb ensemble vote a.csv b.csv c.csv --staple --size 2048x2048 -o vote.csv
    """
    from handbone_cli.commands.wiring import voting
    from handbone_cli.commands.wiring.mask_members import KnownImages, open_members
    from handbone_cli.commands.wiring.masks import require_complete
    from handbone_cli.decision.staple import Staple
    from handbone_cli.decision.vote import Majority, VotedMasks, require_same
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.results.submission_rows import is_submission

    if staple and (weights or by_bone):
        raise click.UsageError("--staple finds its own weights; leave --weights and --by-bone out.")
    replaced = [voting.parse_replacement(text) for text in replacements]
    require_several(masks, output, replaced=bool(replaced))
    refuse_foreign(output, "a submission", is_submission)
    known = KnownImages(size=voting.parse_size(size))
    registry = installed()
    known.add_labels(labels, registry)
    paths = [*masks, *(path for _, path in replaced)]
    members, stores = open_members(paths, registry, known)
    for member, below in zip(members, stores, strict=True):
        if below:
            require_complete(member, below)
    names = [str(path) for path in paths]
    require_same(members, names)
    class_names = members[0].class_names
    ballot = voting.make_ballot(
        class_names,
        voting.parse_weights(weights or ",".join("1" * len(masks)), len(masks)),
        voting.parse_share(share),
        by_bone,
        [voting.named_bones(words, class_names, f"--replace {path}") for words, path in replaced],
    )
    rule = Staple(ballot) if staple else Majority(ballot)
    if staple:
        require_sizes(known, members[0])
    if suffix is None:
        is_first_csv = masks[0].name.endswith((".csv", ".csv.gz"))
        suffix = voting.image_suffix(masks[0]) if is_first_csv else ".png"
    write(VotedMasks(members, ballot, rule, names), output, suffix)
    if isinstance(rule, Staple):
        show_raters(rule, names)


def require_several(masks: Sequence[Path], output: Path, *, replaced: bool) -> None:
    """Refuse a vote of one, of the same file twice, and an output that is no CSV."""
    from handbone_cli.commands.wiring.masks import is_csv
    from handbone_cli.errors import HandboneError

    if not is_csv(output):
        raise HandboneError(f"{output}: a submission is a .csv or .csv.gz; give -o such a name.")
    if len({path.resolve() for path in masks}) < len(masks):
        raise HandboneError("the same file is named twice; give it more votes with --weights.")
    if len(masks) == 1 and not replaced:
        raise HandboneError(f"{masks[0]}: one file has nobody to vote with; name two or more.")


def require_sizes(known: KnownImages, first: MaskSource) -> None:
    """STAPLE counts the pixels around a bone, so it must know where rows end."""
    from handbone_cli.errors import HandboneError

    unknown = known.unknown(first.image_ids)
    if unknown:
        raise HandboneError(
            f"--staple needs the size of image '{unknown[0]}', which a CSV does not say; give "
            "--size ROWSxCOLUMNS, or --labels with a recipe or folder that has the images."
        )


def write(voted: VotedMasks, output: Path, suffix: str) -> None:
    """Write the submission and read it back."""
    from handbone_cli.results.submission import verify_submission, write_submission
    from handbone_cli.terminal.progress import progress

    ids, class_names = voted.image_ids, voted.class_names
    with progress("Voting") as report:
        write_submission(output, ids, class_names, voted.mask, suffix=suffix, report=report)
    with progress("Reading back") as report:
        seen = itertools.count(1)

        def again(image_id: str) -> PackedMask:
            report(next(seen), len(ids))
            return voted.mask(image_id)

        verify_submission(output, ids, class_names, again)
    rows = len(ids) * len(class_names)
    click.echo(f"{output}: {rows} rows of {len(ids)} images, read back and equal")


def show_raters(rule: Staple, names: Sequence[str]) -> None:
    """What STAPLE makes of every file."""
    from handbone_cli.terminal.tables import show_table

    rows = [
        (name, *("-" if value != value else f"{value:.4f}" for value in rates))  # noqa: PLR0124  nan
        for name, rates in zip(names, rule.raters, strict=True)
    ]
    show_table(("file", "sensitivity", "specificity"), rows)
