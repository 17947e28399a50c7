"""The click group `hb`: commands by name, errors in one line, exit codes 0, 1, 2 and 130."""

from __future__ import annotations

import os
import sys
import warnings

import click

from handbone_cli import __version__
from handbone_cli.commands.lazy_group import LazyGroup
from handbone_cli.errors import HandboneError, InterruptedRunError, LostRankError
from handbone_cli.ranks import INTERRUPTED, LOST, is_launched, is_main

COMMANDS = {
    "check": "Rehearse a recipe in a minute.",
    "compare": "Say which of two is better, on which bones, or that they tie.",
    "data": "Generate hands; check, prepare, split and measure a dataset.",
    "demo": "The whole job on generated hands.",
    "doctor": "What this machine can do, and what is missing.",
    "ensemble": "Weigh models against each other.",
    "evaluate": "Score masks against labels.",
    "models": "List models and what they cost.",
    "plugins": "List, explain, check and begin plugins.",
    "predict": "Predict images into a store of probabilities.",
    "recipes": "List, show, validate and copy recipes.",
    "runs": "List, show, draw, follow and stop runs.",
    "schedule": "Run a queue of experiments.",
    "store": "Look into stores of probabilities; import and export them.",
    "submit": "Write masks as a CSV and read it back.",
    "thresholds": "Choose the probability from which on a pixel is bone.",
    "train": "Train a model as a recipe says.",
    "trust": "Say which masks to look at, without the truth.",
    "visualize": "Draw overlays and a contact sheet.",
    "weights": "Import old checkpoints, and show what a file of weights holds.",
}
"""Every command's line in the help of `hb`, in order of name; NAME is in `commands/NAME.py`."""


@click.group(
    cls=LazyGroup,
    package="handbone_cli.commands",
    summaries=COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)
@click.version_option(__version__, prog_name="hb")
def hb() -> None:
    """Segment overlapping bones in radiographs: train, predict, ensemble, submit.

    Start with `hb demo`, which does the whole job on generated hands and prints every command.
    """


def main(arguments: list[str] | None = None) -> None:
    """Run `hb`; a HandboneError becomes one line on stderr and exit code 1."""
    # What torch tells the developers of timm is not for users of hb.
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"torch\.jit")
    # torch asks Linux for huge pages: a first write to large memory takes a quarter of the time
    os.environ.setdefault("THP_MEM_ALLOC_ENABLE", "1")
    code = run(sys.argv[1:] if arguments is None else arguments)
    if is_launched():  # it may be asked to stop a second time while Python tidies up
        from handbone_cli.runs.launch import stop_listening

        stop_listening()
    sys.exit(code)


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
