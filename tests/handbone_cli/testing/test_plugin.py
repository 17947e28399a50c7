from __future__ import annotations

import contextlib
import sys

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.testing.plugin import locate

MODULE = """
from handbone_cli import hookimpl
HANDBONE_API = 1

@hookimpl
def handbone_tta(register):
    register("{name}", "nowhere:build", summary="a view")
"""
PROJECT = '[project]\nname = "{dist}"\nversion = "1.5"\n[project.entry-points.handbone]\n'


@pytest.fixture
def stack():
    with contextlib.ExitStack() as opened:
        yield opened


def write(folder, module="acme_views", name="acme", dist="Acme_Views", inside="."):
    home = folder / inside
    home.mkdir(parents=True, exist_ok=True)
    (home / f"{module}.py").write_text(MODULE.format(name=name))
    (folder / "pyproject.toml").write_text(PROJECT.format(dist=dist) + f'views = "{module}"\n')
    return folder


def names(plugin):
    return [each.name for own in plugin.modules.values() for each in own.all()]


def said(word, stack):
    with pytest.raises(HandboneError) as caught:
        locate(word, stack)
    return str(caught.value)


@pytest.mark.parametrize("word", ["handbone", "Handbone"])
def test_an_installed_distribution(word, stack):
    plugin = locate(word, stack)
    assert plugin.name == "handbone"
    assert {point.module for point in plugin.modules} >= {"handbone_tta", "handbone_losses"}
    assert {"hflip", "dice", "jsonl", "nnunet"} <= set(names(plugin))


def test_a_module_of_a_distribution(stack):
    plugin = locate("handbone_tta", stack)
    assert plugin.name == "handbone"
    assert {"flip", "hflip", "rotate", "scale"} <= set(names(plugin))
    assert "dice" not in names(plugin)
    assert "dice" in plugin.registry.names("losses")


@pytest.mark.parametrize("inside", [".", "src"])
def test_a_folder_is_found_as_if_it_were_installed(inside, tmp_path):
    before = [*sys.path]
    with contextlib.ExitStack() as stack:
        plugin = locate(str(write(tmp_path / "p", inside=inside)), stack)
        assert (plugin.name, plugin.version, names(plugin)) == ("Acme_Views", "1.5", ["acme"])
        assert plugin.registry.get("tta", "acme").distribution == "Acme_Views"
        assert "hflip" in plugin.registry.names("tta")
        assert "acme_views" in sys.modules
    assert sys.path == before
    assert "acme_views" not in sys.modules


def test_a_folder_that_was_changed_is_read_again(tmp_path):
    for name in ("first", "second"):
        with contextlib.ExitStack() as stack:
            assert names(locate(str(write(tmp_path, name=name)), stack)) == [name]


def test_a_folder_goes_before_what_is_installed(tmp_path, stack):
    """As a checkout of a distribution that is installed too."""
    for word in ("installed", "checkout"):
        write(tmp_path / word, name=word)
    locate(str(tmp_path / "installed"), stack)
    assert names(locate(str(tmp_path / "checkout"), stack)) == ["checkout"]


def test_a_folder_by_its_bare_name(tmp_path, stack, monkeypatch):
    monkeypatch.chdir(write(tmp_path / "acme").parent)
    assert names(locate("acme", stack)) == ["acme"]


def test_a_module_that_no_entry_point_names(tmp_path, stack, monkeypatch):
    monkeypatch.syspath_prepend(str(write(tmp_path, module="acme_loose")))
    plugin = locate("acme_loose", stack)
    assert (plugin.name, names(plugin)) == ("acme_loose", ["acme"])


def test_what_cannot_be_found_is_one_sentence(tmp_path, stack, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert said("handbonne", stack).startswith(
        "no distribution, module or folder is called 'handbonne'. Did you mean 'handbone'? Known: "
    )
    assert said("", stack).startswith("no distribution, module or folder is called ''.")
    assert said("pluggy", stack).endswith(
        " has no entry point for handbone: add [project.entry-points.handbone] to its "
        "pyproject.toml and install it again."
    )
    assert said("./none", stack) == (
        "none: no such file or folder; expected a folder with a pyproject.toml."
    )
    (tmp_path / "none").mkdir()
    assert said("./none", stack).startswith("none/pyproject.toml: no such file")
    path = tmp_path / "none" / "pyproject.toml"
    path.write_text('[project]\nname = "x"\n')
    expected = "by which handbone finds a plugin."
    assert said("./none", stack) == (
        f"none/pyproject.toml: expected [project.entry-points.handbone], {expected}"
    )
    path.write_text('[project.entry-points.handbone]\nx = "x"\n')
    assert said("./none", stack) == (
        f"none/pyproject.toml: expected [project] with a name, {expected}"
    )
    path.write_text("[project")
    assert said("./none", stack).startswith("none/pyproject.toml: not TOML: ")


def test_a_module_that_cannot_be_imported_is_kept_for_the_checks(tmp_path, stack):
    write(tmp_path)
    (tmp_path / "acme_views.py").write_text("\n\n1 / 0\n")
    plugin = locate(str(tmp_path), stack)
    (own,) = plugin.modules.values()
    (broken,) = own.broken
    assert (broken.reason, broken.place) == (
        "ZeroDivisionError: division by zero",
        "acme_views.py:3",
    )
