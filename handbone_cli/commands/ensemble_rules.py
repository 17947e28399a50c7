"""`hb ensemble rules`: the spatial rules that gain on people left out, into a decision."""

from __future__ import annotations

import itertools
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.decision.document import Decision
    from handbone_cli.decision.rules import Verdict
    from handbone_cli.host.registry import Registry
    from handbone_cli.store.store import Store


@click.command()
@click.argument("masks", type=Path)
@click.option(
    "--rule",
    "texts",
    multiple=True,
    required=True,
    metavar="NAME[:KEY=VALUE]",
    help="A post-processor to try; again for more, in the order they would run. A list of values, "
    "as in closing:radius=[2,4], is tried one by one.",
)
@click.option("--labels", help="Recipe, folder or CSV with the truth.  [default: the stores' own]")
@click.option(
    "--allow-seen", is_flag=True, help="Also use images of people a model was trained on."
)
@click.option("--seed", default=21, show_default=True, help="Of the groups of people.")
@click.option("-o", "--output", type=Path, required=True, help="Decision (.toml) to write.")
def rules(
    masks: Path,
    texts: tuple[str, ...],
    labels: str | None,
    allow_seen: bool,
    seed: int,
    output: Path,
) -> None:
    """Try spatial rules on MASKS, a store or a decision (.toml), and keep those that gain.

    Each rule is tried on what the rules before it left, in variants, for every bone. It is kept
    for a bone where it gains on people that it was not chosen on.

    \b
    hb ensemble rules ensemble.toml --rule remove_small --rule fill_holes -o cleaned.toml
    hb ensemble rules stores/a_val --rule remove_small:min_area=[50,900] -o cleaned.toml
    """
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import decided_masks, open_decision
    from handbone_cli.decision import document
    from handbone_cli.decision.ensemble import usable_images
    from handbone_cli.decision.rules import try_rule
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress

    if output.suffix != ".toml":
        raise HandboneError(f"{output}: a decision is a .toml file; give -o such a name.")
    refuse_foreign(output, "a decision", document.is_decision)
    registry = installed()
    decision, stores = open_decision(masks)
    names = decision.class_names
    wanted = [make_variants(text, names, registry) for text in texts]
    truth = open_labels(labels, stores, names, registry)
    image_ids = usable_images(stores, truth, allow_seen=allow_seen)
    source, verdicts = decided_masks(masks, decision, stores, registry), []
    for tables in wanted:
        with progress(f"Trying {tables[0]['name']}") as report:
            variants = build_variants(tables, names, registry)
            verdict = try_rule(source, truth, image_ids, variants, seed=seed, report=report)
        show(tables[0]["name"], verdict, names)
        source = source.then(verdict.rules)
        verdicts.append({"name": tables[0]["name"], **verdict.figures()})
        decision = replace(decision, postprocess=(*decision.postprocess, *verdict.sections))
    document.save(_complete(decision, stores, verdicts), output)
    click.echo(str(output))


def make_variants(
    text: str, class_names: Sequence[str], registry: Registry
) -> list[dict[str, Any]]:
    """`closing:radius=[2,4]` -> tables of [[postprocess]], one a variant.

    Options that are not said take the values of the rule's own grid, else their default.

    Raises:
        HandboneError: no such rule, or an option that it refuses.
    """
    from handbone_cli.errors import HandboneError
    from handbone_cli.recipe.load import parse_override
    from handbone_cli.recipe.schema import POSTPROCESS_KEYS

    name, *options = text.split(":")
    if not all("=" in option for option in options):
        raise HandboneError(
            f"--rule {text}: expected NAME or NAME:KEY=VALUE, for example closing:radius=[2,4]."
        )
    parsed = {
        ".".join(keys): value if isinstance(value, list) else [value]
        for keys, value in (parse_override(option, "--rule") for option in options)
    }
    if taken := POSTPROCESS_KEYS & set(parsed):
        raise HandboneError(
            f"--rule {text}: {', '.join(taken)} is what will be chosen; leave it out."
        )
    for key, values in parsed.items():
        if not values:
            raise HandboneError(f"--rule {text}: {key} has no value to try.")
    component = registry.get("postprocessors", name)
    grid = {**component.options_type().grid, **parsed}
    tables = [
        {"name": name, **dict(zip(grid, values, strict=True))}
        for values in itertools.product(*grid.values())
    ]
    build_variants(tables, class_names, registry)  # a wrong option is said before anything is read
    return tables


def build_variants(
    tables: Sequence[dict[str, Any]], class_names: Sequence[str], registry: Registry
) -> list[tuple[dict[str, Any], Any]]:
    """Each table with the rule that it makes."""
    from handbone_cli.commands.wiring.masks import build_rules

    scoped = build_rules(tables, class_names, registry)
    return [(table, each.rule) for table, each in zip(tables, scoped, strict=True)]


def _complete(
    decision: Decision, stores: Sequence[Store], verdicts: Sequence[dict[str, Any]]
) -> Decision:
    """What a decision says of its members, also where it began as a store, and of the rules."""
    from handbone_cli.decision.document import model_of

    return replace(
        decision,
        digests=tuple(store.digest() for store in stores),
        models=tuple(model_of(store) for store in stores),
        scores={**decision.scores, "rules": [*decision.scores.get("rules", []), *verdicts]},
    )


def show(name: str, verdict: Verdict, class_names: Sequence[str]) -> None:
    """What a rule gains, and for which bones it is kept."""
    from handbone_cli.terminal.tables import show_table

    choice = verdict.choice
    kept = sum(variant is not None for variant in verdict.variants)
    said = f"kept for {kept} of {len(class_names)} bones" if kept else "refused"
    click.echo(
        f"{name}: in-sample gain {choice.in_sample - choice.uniform:+.5f}, on people left out "
        f"{choice.gain:+.5f} +- {choice.gain_error:.5f}: {said}"
    )
    rows = [
        (bone, _options(variant), f"{inside:+.4f}", f"{gain:+.4f}")
        for bone, variant, inside, gain in zip(
            class_names, verdict.variants, verdict.in_sample, choice.gain_per_class, strict=True
        )
        if variant is not None or abs(inside) >= 5e-5 or abs(gain) >= 5e-5
    ]
    if rows:
        show_table(("bone", "kept", "in-sample gain", "cross-fitted gain"), rows)


def _options(variant: dict[str, Any] | None) -> str:
    if variant is None:
        return "without"
    return ", ".join(f"{k}={v}" for k, v in variant.items() if k != "name") or "with"
