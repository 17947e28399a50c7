"""The click group `hb`: commands by module, errors in one line, exit codes 0, 1, 2 and 130."""

from __future__ import annotations

import sys
import warnings

import click

from handbone_cli import __version__
from handbone_cli.commands import (
    check,
    data,
    demo,
    doctor,
    ensemble,
    evaluate,
    models,
    plugins,
    predict,
    recipes,
    runs,
    schedule,
    store,
    submit,
    thresholds,
    train,
    visualize,
    weights,
)
from handbone_cli.errors import HandboneError, InterruptedRunError, LostRankError
from handbone_cli.ranks import INTERRUPTED, LOST, is_launched, is_main


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(__version__, prog_name="hb")
def hb() -> None:
    """Segment overlapping bones in radiographs: train, predict, ensemble, submit.

    Start with `hb demo`, which does the whole job on generated hands and prints every command.
    """


for command in (
    demo.demo,
    check.check,
    train.train,
    runs.runs,
    schedule.schedule,
    predict.predict,
    evaluate.evaluate,
    ensemble.ensemble,
    thresholds.thresholds,
    submit.submit,
    visualize.visualize,
    store.store,
    data.data,
    recipes.recipes,
    plugins.plugins,
    models.models,
    weights.weights,
    doctor.doctor,
):
    hb.add_command(command)


def main(arguments: list[str] | None = None) -> None:
    """Run `hb`; a HandboneError becomes one line on stderr and exit code 1."""
    # What torch tells the developers of timm is not for users of hb.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
    sys.exit(run(sys.argv[1:] if arguments is None else arguments))


def run(arguments: list[str]) -> int:
    """Run one command line and give its exit code; a bug of ours keeps its traceback."""
    try:
        left = hb.main(arguments, prog_name="hb", standalone_mode=False)
    except InterruptedRunError as error:
        if is_main():
            click.echo(str(error), err=True)
        return INTERRUPTED
    except LostRankError as error:
        if not is_launched():
            click.echo(f"hb: {error}", err=True)
        return LOST
    except HandboneError as error:
        click.echo(f"hb: {error}", err=True)
        return 1
    except click.exceptions.Abort:
        click.echo("hb: interrupted; files that were finished stay.", err=True)
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except KeyboardInterrupt:
        click.echo("hb: interrupted; files that were finished stay.", err=True)
        return INTERRUPTED
    except BrokenPipeError:
        return 0
    return left if isinstance(left, int) else 0  # what a command left with click's Exit
