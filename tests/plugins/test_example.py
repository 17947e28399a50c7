"""The example is a distribution of its own: installed by pip, found by its entry point, trained."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
EXAMPLE = ROOT / "plugins" / "example"

TRAIN = """
import torch
from handbone_cli import ModelContext
from handbone_cli.host.registry import installed

registry = installed()
component = registry.get("models", "tiny_fcn")
context = ModelContext(classes=3, in_channels=1, patch=(16, 16))
model = registry.build("models", "tiny_fcn", {"width": 4}, context)
optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
images, targets = torch.rand(2, 1, 16, 16), torch.ones(2, 3, 16, 16)
losses = []
for _ in range(2):
    loss = torch.nn.functional.binary_cross_entropy_with_logits(model(images), targets)
    optimizer.zero_grad()
    loss.backward()
    optimizer.step()
    losses.append(loss.item())
print(component.distribution, component.version, component.divisor, losses[1] < losses[0])
"""


def run(command, **environment):
    merged = {**os.environ, **environment}
    result = subprocess.run(command, env=merged, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.mark.slow  # 15 s: pip builds a wheel, and two more Pythons import torch
def test_pip_installs_it_and_it_trains(tmp_path):
    pytest.importorskip("hatchling")
    source, target = tmp_path / "source", tmp_path / "target"
    shutil.copytree(EXAMPLE, source)
    pip = [sys.executable, "-m", "pip", "install", "--no-deps", "--no-build-isolation"]
    run([*pip, "--no-index", "--quiet", "--target", str(target), str(source)])
    assert sorted(path.name for path in target.iterdir() if path.suffix == ".py") == [
        "handbone_example.py"
    ]
    paths = os.pathsep.join([str(target), str(ROOT), str(ROOT / "plugins")])
    assert run([sys.executable, "-c", TRAIN], PYTHONPATH=paths) == "handbone-example 0.1.0 2 True\n"
    hb = [sys.executable, "-m", "handbone_cli"]
    checked = run([*hb, "plugins", "check", "handbone-example"], PYTHONPATH=paths)
    assert re.search(r"\nhandbone-example 0\.1\.0: 1[34] passed(, 1 skipped)?\n$", checked)


def test_the_tutorial_shows_a_model_that_works():
    import torch

    from handbone_cli import ModelContext

    readme = (EXAMPLE / "README.md").read_text(encoding="utf-8")
    code = re.findall(r"```python\n(.*?)```", readme, re.DOTALL)[0]
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    module = {"__name__": "tutorial"}
    exec(code, module)  # our own README
    registered = {}

    def register(name, factory, *, options, summary, divisor):
        registered[name] = factory(options(width=4), ModelContext(classes=3, in_channels=2))

    module["handbone_models"](register)
    assert registered["tiny_fcn"](torch.zeros(1, 2, 8, 6)).shape == (1, 3, 8, 6)
