from __future__ import annotations

import os
import subprocess
import sys
from importlib.metadata import entry_points
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
NAME = "handbone_cli.testing.pytest_plugin"
FOUND = [point.value for point in entry_points(group="pytest11", name="handbone")]
PLUGIN = "handbone" if FOUND else NAME
LOAD = [] if FOUND else ["-p", NAME]
"""An environment that was set up before the entry point was there loads it by name."""

MODULE = """
from handbone_cli import hookimpl
HANDBONE_API = 1

class Rule:
    def __call__(self, mask, name):
        {body}
        return mask

def build(options, context):
    return Rule()

@hookimpl
def handbone_postprocessors(register):
    register("rule", build, summary="a rule")
"""


def run(*arguments, cwd):
    command = [sys.executable, "-m", "pytest", *LOAD, "-p", "no:cacheprovider", *arguments]
    paths = os.pathsep.join(str(path) for path in (ROOT, ROOT / "plugins"))
    environment = {**os.environ, "PYTHONPATH": paths, "COLUMNS": "150"}
    done = subprocess.run(
        command, cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )
    return done.returncode, done.stdout, done.stderr


@pytest.fixture
def plugin(tmp_path):
    def write(body="pass"):
        (tmp_path / "acme_rule.py").write_text(MODULE.format(body=body))
        (tmp_path / "pyproject.toml").write_text(
            '[project]\nname = "acme"\nversion = "1"\n'
            '[project.entry-points.handbone]\nrule = "acme_rule"\n'
        )
        return tmp_path

    return write


@pytest.mark.slow  # 5 s: a pytest of its own that imports torch
def test_each_check_is_an_item(plugin):
    folder = plugin()
    code, out, _ = run("--handbone", str(folder), "-v", cwd=folder)
    assert code == 0, out
    lines = [line.split() for line in out.splitlines() if "::" in line]
    assert [words[0].rpartition("::")[2] for words in lines] == [
        *(f"module-acme_rule-{check}" for check in ("loads", "api", "light")),
        *(f"postprocessors-rule-{check}" for check in ("summary", "options", "builds")),
        *(
            f"postprocessors-rule-{check}"
            for check in ("booleans", "inputs", "repeats", "bones", "scope")
        ),
    ]
    assert {words[1] for words in lines} == {"PASSED"}


@pytest.mark.slow  # 5 s: a pytest of its own that imports torch
def test_a_failure_is_a_sentence_beside_other_tests(plugin):
    folder = plugin("mask[:] = True")
    (folder / "test_own.py").write_text("def test_own():\n    pass\n")
    code, out, _ = run("--handbone", str(folder), "-q", "-k", "inputs or own", cwd=folder)
    assert code == 1
    assert "post-processor 'rule', inputs: the rule changed the mask it was given" in out
    assert "Traceback" not in out
    assert "1 failed, 1 passed, 10 deselected" in out


def test_an_unknown_plugin_is_one_sentence(tmp_path):
    code, out, err = run("--handbone", "handbonne", cwd=tmp_path)
    assert code == 4
    assert "ERROR: --handbone handbonne: no distribution, module or folder is called " in out + err
    assert "Traceback" not in out + err


def test_it_costs_pytest_nothing_until_it_is_asked(tmp_path):
    heavy = "{'torch', 'numpy', 'cv2', 'pydantic', 'handbone_cli.testing.cases'}"
    (tmp_path / "test_light.py").write_text(
        "import sys\n\n\ndef test_light(request):\n"
        f"    assert request.config.pluginmanager.hasplugin({PLUGIN!r})\n"
        f"    assert not {heavy} & sys.modules.keys()\n"
    )
    code, out, _ = run("-q", "-p", "no:randomly", cwd=tmp_path)
    assert code == 0, out


def test_the_entry_point_is_declared():
    text = (ROOT / "pyproject.toml").read_text()
    assert f'[project.entry-points.pytest11]\nhandbone = "{NAME}"\n' in text
