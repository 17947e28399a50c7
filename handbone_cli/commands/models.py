"""`hb models`: what there is to train, and what each costs."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import click

from handbone_cli.commands.models_plan import plan
from handbone_cli.commands.plugins.show import describe

if TYPE_CHECKING:
    from collections.abc import Sequence

    from handbone_cli.commands.wiring.model_costs import Found
    from handbone_cli.host.registry import Component

SORTS = {"params": "parameters", "macs": "macs", "memory": "memory_bytes", "name": "name"}


@click.group()
def models() -> None:
    """List models and what they cost."""


@models.command("list")
@click.option("--family", metavar="NAME", help="Only NAME and what begins so, for example hrnet.")
@click.option(
    "--sort", type=click.Choice(list(SORTS)), default="name", show_default=True, help="Order."
)
@click.option("--refresh", is_flag=True, help="Measure anew, whatever is known.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def list_(family: str | None, sort: str, refresh: bool, as_json: bool) -> None:
    """Every model by name: parameters, GMACs, memory of a training step.

    Figures are measured on the models themselves, without weights: a second or two each, once;
    they are kept in the user's cache folder until something changes that they depend on.

    GMACs (1e9 multiplications with an addition) are those of convolutions and matrix products in
    a forward pass of one image of 1024 x 1024 px, one channel and 29 classes.

    GiB are what tensors hold at the fullest moment of a training step of that image in float32
    with AdamW: weights, gradients, two moments, activations that the backward pass needs,
    temporaries, and binary cross-entropy with its targets. CUDA itself (0.3 to 0.5 GiB), the work
    space of convolutions and what an allocator loses between tensors come on top; fp16 and bf16
    need less. A model that cannot train on one image is measured with the fewest it can, marked *.
    """
    from handbone_cli.commands.wiring.model_costs import find_costs
    from handbone_cli.host.registry import installed
    from handbone_cli.terminal.model_table import show_models

    registry = installed()
    names = of_family(registry.names("models"), family)
    found = find_costs(registry, names, refresh=refresh)
    rows = [figures(registry.get("models", name), found[name]) for name in names]
    rows.sort(key=lambda row: (row[SORTS[sort]] is None, row[SORTS[sort]], row["name"]))
    if as_json:
        click.echo(json.dumps(rows))
    else:
        show_models(rows)


@models.command()
@click.argument("name")
@click.option("--set", "overrides", multiple=True, metavar="KEY=VALUE", help="Set an option.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def show(name: str, overrides: tuple[str, ...], as_json: bool) -> None:
    """What NAME is, which options it takes, and what it costs with those that are set.

    `hb models list --help` says what the figures are.

    \b
    hb models show unet --set encoder=resnet34
    """
    from handbone_cli.commands.wiring.model_costs import find_cost, open_cache
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import apply_overrides
    from handbone_cli.terminal.model_table import show_figures

    registry = installed()
    component = registry.get("models", name)
    options = registry.parse_options(component, apply_overrides({}, overrides, {}))
    row = figures(component, find_cost(component, options, open_cache()))
    if as_json:
        click.echo(json.dumps(row))
        return
    describe(name, "models")
    show_figures(row)


def of_family(names: Sequence[str], family: str | None) -> list[str]:
    """The names that are `family` or begin with it and an underscore; all for None."""
    from handbone_cli.errors import HandboneError, closest

    chosen = [each for each in names if family is None or f"{each}_".startswith(f"{family}_")]
    if family is not None and not chosen:
        raise HandboneError(f"no model's name begins with '{family}'. {closest(family, names)}")
    return chosen


def figures(component: Component, found: Found) -> dict[str, Any]:
    """One model as JSON has it."""
    known = {} if isinstance(found, str) else found.model_dump()
    return {
        "name": component.name,
        "parameters": known.get("parameters"),
        "macs": known.get("macs"),
        "memory_bytes": known.get("memory"),
        **{key: known.get(key) for key in ("batch", "divisor", "minimum")},
        "pretrained": has_weights(component),
        "paper": component.paper,
        "distribution": component.distribution,
        "version": component.version,
        "reason": found if isinstance(found, str) else found.reason,
    }


def has_weights(component: Component) -> bool:
    """Whether the model can start from weights that somebody trained."""
    try:
        return "pretrained" in component.options_type().model_fields
    except Exception:  # noqa: BLE001  a stranger's module; why it failed is said with the figures
        return False


models.add_command(plan)
