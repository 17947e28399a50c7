"""How long `hb --help` takes as a whole process, beside an empty Python and `import click`.

python benchmarks/startup.py [RUNS]
"""

from __future__ import annotations

import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

HEAVY = ("torch", "numpy", "pydantic", "importlib.metadata")
CPUINFO = Path("/proc/cpuinfo")

# Runs `hb --help` in a Python of its own and says which heavy modules that loaded.
PROBE = f"""
import contextlib, io, sys
from handbone_cli.cli import run
with contextlib.redirect_stdout(io.StringIO()):
    code = run(["--help"])
assert code == 0, code
print(*[name for name in {HEAVY!r} if name in sys.modules])
"""


def commands():
    """What is timed, by name."""
    python = sys.executable
    return {
        "python -c pass": [python, "-c", "pass"],
        'python -c "import click"': [python, "-c", "import click"],
        "hb --help": [str(Path(python).with_name("hb")), "--help"],
    }


def milliseconds(command):
    """Wall time of one whole process."""
    started = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
    return 1000 * (time.perf_counter() - started)


def loaded():
    """Heavy modules in sys.modules after `hb --help`."""
    probe = subprocess.run(
        [sys.executable, "-c", PROBE], check=True, capture_output=True, text=True
    )
    return probe.stdout.split()


def processor():
    """The processor's name, where the system says it."""
    lines = CPUINFO.read_text().splitlines() if CPUINFO.exists() else []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or "unknown"


def main():
    """Time the commands in turns, so that a busy moment falls on all of them."""
    runs = int(sys.argv[1]) if len(sys.argv) > 1 else 10
    timed = commands()
    for command in timed.values():
        milliseconds(command)  # warm-up: bytecode and file cache
    times = {name: [] for name in timed}
    for _ in range(runs):
        for name, command in timed.items():
            times[name].append(milliseconds(command))
    load = os.getloadavg()[0] if hasattr(os, "getloadavg") else float("nan")
    print(f"{processor()}, {os.cpu_count()} cores, load {load:.2f}")
    print(f"Python {platform.python_version()}, click {version('click')}, median of {runs}")
    for name, values in times.items():
        median, low, high = statistics.median(values), min(values), max(values)
        print(f"{name:26} {median:6.1f} ms   ({low:.1f} to {high:.1f})")
    found = loaded()
    for name in HEAVY:
        print(f"{name + ' loaded':26} {'yes' if name in found else 'no'}")


if __name__ == "__main__":
    main()
