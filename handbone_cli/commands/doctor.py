"""`hb doctor`: what this machine can do, what is missing, how to get it."""

from __future__ import annotations

import json
import os
import platform
import shutil
from pathlib import Path

import click

PACKAGES = ("torch", "torchvision", "timm", "segmentation-models-pytorch",
            "dynamic-network-architectures", "numpy", "opencv-python-headless", "pydantic",
            "pluggy", "click", "rich", "safetensors")  # fmt: skip
EXTRAS = {
    "dali": ("nvidia-dali-cuda120", "decoding and CLAHE on the GPU"),
    "tensorboard": ("tensorboard", "curves and pictures in TensorBoard"),
    "wandb": ("wandb", "curves and pictures in Weights & Biases"),
    "ray": ("ray", "a queue of runs over several machines"),
    "dev": ("pytest", "the checks that CI runs"),
}
GIB = 2**30
LITTLE_DISK = 10


@click.command(short_help="What this machine can do, and what is missing.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(as_json: bool) -> None:
    """Report versions, GPU, memory and disk, and what each missing extra would give."""
    from handbone_cli.terminal.tables import show_table

    facts = {**system(), **versions(), **accelerator(), **extras(), **broken_plugins()}
    if as_json:
        click.echo(json.dumps(facts))
    else:
        show_table(("what", "found"), list(facts.items()))


def system() -> dict[str, str]:
    """Python, operating system, cores, memory, disk."""
    import handbone_cli

    free = shutil.disk_usage(Path.cwd()).free / GIB
    remark = " (little: a large store may not fit)" if free < LITTLE_DISK else ""
    return {
        "handbone": handbone_cli.__version__,
        "python": platform.python_version(),
        "system": platform.platform(terse=True),
        "cores": str(os.cpu_count()),
        "memory": memory(),
        "disk free here": f"{free:.0f} GiB{remark}",
    }


def memory() -> str:
    """Memory that is free, where the system says so."""
    try:
        lines = Path("/proc/meminfo").read_text().splitlines()
        table = {line.split(":")[0]: int(line.split()[1]) * 1024 for line in lines}
        return f"{table['MemAvailable'] / GIB:.1f} of {table['MemTotal'] / GIB:.1f} GiB free"
    except (OSError, KeyError, ValueError, IndexError):
        return "unknown on this system"


def versions() -> dict[str, str]:
    """Versions of what handbone stands on."""
    return {name: version_of(name) or f"missing; pip install {name}" for name in PACKAGES}


def version_of(distribution: str) -> str | None:
    """A distribution's version, None if it is not installed."""
    from importlib.metadata import PackageNotFoundError, version

    try:
        return version(distribution)
    except PackageNotFoundError:
        return None


def accelerator() -> dict[str, str]:
    """The GPU that torch sees and the precision it would train in."""
    try:
        import torch
    except ImportError as error:
        return {"gpu": f"torch cannot be imported: {error}"}
    from handbone_cli.networks.build import choose_device, choose_precision

    device = choose_device()
    precision = str(choose_precision("auto", device)).removeprefix("torch.")
    if device.type != "cuda":
        built = torch.version.cuda
        why = (
            f"torch is built for CUDA {built}, no GPU answers" if built else "a CPU build of torch"
        )
        return {"gpu": f"none ({why}); everything works on the CPU", "precision": precision}
    facts = torch.cuda.get_device_properties(device)
    return {
        "gpu": f"{torch.cuda.device_count()} x {facts.name}, {facts.total_memory / GIB:.0f} GiB",
        "precision": precision,
    }


def extras() -> dict[str, str]:
    """Optional parts: there, or what they would give and how to get them."""
    return {
        f"extra '{name}'": (
            f"{package} {version_of(package)}"
            if version_of(package)
            else f"missing; would give {gives}: pip install 'handbone[{name}]'"
        )
        for name, (package, gives) in EXTRAS.items()
    }


def broken_plugins() -> dict[str, str]:
    """How many components there are, and plugins that cannot be loaded."""
    from handbone_cli.host.registry import installed

    registry = installed()
    count = sum(len(group) for group in registry.components.values())
    broken = {f"broken plugin {b.distribution}": b.reason for b in registry.broken}
    return {"plugins": f"{count} components", **broken}
