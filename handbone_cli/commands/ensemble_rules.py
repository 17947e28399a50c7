"""`hb ensemble rules`: the spatial rules that gain on people left out, into a decision."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.decision.document import Decision
    from handbone_cli.decision.rule_chain import ChainVerdict
    from handbone_cli.decision.rules import Verdict
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
@click.option("--on", multiple=True, type=Path, metavar="STORE", help="Stores for a decision.")
@click.option("--all-in", is_flag=True, help="Take the in-sample choice, whatever the verdict.")
@click.option("--seed", default=21, show_default=True, help="Of the groups of people.")
@click.option("-o", "--output", type=Path, required=True, help="Decision (.toml) to write.")
def rules(
    masks: Path,
    texts: tuple[str, ...],
    labels: str | None,
    allow_seen: bool,
    on: tuple[Path, ...],
    all_in: bool,
    seed: int,
    output: Path,
) -> None:
    """Try spatial rules on MASKS, a store or a decision (.toml), and keep those that gain.

    Each rule is tried on what the rules before it left, in variants, for every bone. It is kept
    for a bone where it gains on people that it was not chosen on. All of them together are judged
    so as well, the whole choice made anew with each group of people left out, and refused where
    they do not gain.

    \b
    hb ensemble rules ensemble.toml --rule remove_small --rule fill_holes -o cleaned.toml
    hb ensemble rules stores/a_val --rule remove_small:min_area=[50,900] -o cleaned.toml
    """
    from handbone_cli.commands.wiring.labels import open_labels
    from handbone_cli.commands.wiring.masks import decided_masks, open_decision
    from handbone_cli.commands.wiring.rule_variants import build_variants, make_variants
    from handbone_cli.decision import document
    from handbone_cli.decision.ensemble import usable_images
    from handbone_cli.decision.rule_chain import RuleChain
    from handbone_cli.errors import HandboneError
    from handbone_cli.files import refuse_foreign
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.progress import progress

    if output.suffix != ".toml":
        raise HandboneError(f"{output}: a decision is a .toml file; give -o such a name.")
    refuse_foreign(output, "a decision", document.is_decision)
    registry = installed()
    decision, stores = open_decision(masks, on)
    names = decision.class_names
    wanted = [make_variants(text, names, registry) for text in texts]
    truth = open_labels(labels, stores, names, registry)
    image_ids = usable_images(stores, truth, allow_seen=allow_seen)
    source = decided_masks(masks, decision, stores, registry)
    chain = RuleChain(source, truth, image_ids, seed=seed, all_in=all_in)
    verdicts: list[dict[str, Any]] = []
    sections: list[dict[str, Any]] = []
    for tables in wanted:
        with progress(f"Trying {tables[0]['name']}") as report:
            variants = build_variants(tables, names, registry)
            verdict = chain.try_rule(variants, report)
        show(tables[0]["name"], verdict, names)
        verdicts.append({"name": tables[0]["name"], **verdict.figures()})
        sections += verdict.sections
    together = chain.verdict()
    show_together(together, all_in=all_in)
    verdicts.append({"name": "all rules together", **together.figures(), "all_in": all_in})
    if together.kept or all_in:
        decision = replace(decision, postprocess=(*decision.postprocess, *sections))
    document.save(_complete(decision, stores, verdicts), output)
    click.echo(str(output))


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


def show_together(verdict: ChainVerdict, *, all_in: bool) -> None:
    """What all rules gain, and whether the decision has them."""
    said = f"all rules together: in-sample gain {verdict.in_sample:+.5f}, on people left out "
    if not verdict.any_kept:
        return
    if verdict.gain is None:
        click.echo(f"{said}nobody can tell, with two people")
        return
    said += f"{verdict.gain:+.5f} +- {verdict.gain_error:.5f}: "
    if verdict.kept:
        click.echo(f"{said}kept")
    elif all_in:
        click.echo(f"{said}taken in-sample nevertheless, as --all-in says")
    else:
        click.echo(f"{said}refused, the decision has none of them")


def _options(variant: dict[str, Any] | None) -> str:
    if variant is None:
        return "without"
    return ", ".join(f"{k}={v}" for k, v in variant.items() if k != "name") or "with"
