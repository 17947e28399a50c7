from __future__ import annotations

import shlex

from handbone_cli.commands.plugins.new import new
from handbone_cli.testing import hb


def test_files_and_the_next_commands(tmp_path):
    done = hb("plugins", "new", "my_loss", "--kind", "loss", cwd=tmp_path)
    assert (done.code, done.err) == (0, "")
    assert done.out.splitlines() == [
        "handbone-my-loss/pyproject.toml",
        "handbone-my-loss/handbone_my_loss.py",
        "handbone-my-loss/tests/test_my_loss.py",
        "handbone-my-loss/README.md",
        "handbone-my-loss/.gitignore",
        "next:",
        "  pip install -e ./handbone-my-loss",
        "  hb plugins check handbone-my-loss",
        "  hb train quickstart --set data.root=data --set loss.name=my_loss",
    ]
    assert (tmp_path / "handbone-my-loss" / "handbone_my_loss.py").is_file()
    checked = hb("plugins", "check", "./handbone-my-loss", cwd=tmp_path)
    assert checked.code == 0, checked.err


def test_a_folder_of_ones_own(tmp_path):
    folder = tmp_path / "a b" / "c"
    done = hb("plugins", "new", "my_view", "--kind", "tta", "-o", folder)
    assert done.out.splitlines()[-3:] == [
        f"  pip install -e '{folder}'",
        "  hb plugins check handbone-my-view",
        "  hb train quickstart --set data.root=data --set 'tta=[{name=\"my_view\"}]'",
    ]
    assert shlex.split(done.out.splitlines()[-1])[-1] == 'tta=[{name="my_view"}]'
    assert (folder / "tests" / "test_my_view.py").is_file()


def test_mistakes_are_one_sentence_and_write_nothing(tmp_path):
    for words, sentence in (
        (("My-Loss", "--kind", "loss"), "'My-Loss': a component's name is lower_snake, "),
        (("my_loss", "--kind", "lost"), "no kind of plugin is called 'lost'. Did you mean "),
        (("dice", "--kind", "loss"), "loss 'dice' is there already, from handbone "),
        (("losses", "--kind", "model"), "'losses': a module handbone_losses is installed "),
    ):
        done = hb("plugins", "new", *words, cwd=tmp_path)
        assert (done.code, done.out) == (1, "")
        assert done.err.startswith(f"hb: {sentence}"), done.err
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("")
    done = hb("plugins", "new", "my_loss", "--kind", "loss", "-o", tmp_path)
    assert done.err == f"hb: {tmp_path}: the folder is not empty; choose another one with -o.\n"
    done = hb("plugins", "new", "my_loss", "--kind", "loss", "-o", tmp_path / "file")
    assert (
        done.err
        == f"hb: {tmp_path / 'file'}: cannot write there: a file of that name is in the way.\n"
    )
    assert hb("plugins", "new", "my_loss").code == 2


def test_help_names_every_kind():
    from handbone_cli.host.hookspecs import KINDS, singular

    (kind,) = [each for each in new.params if each.name == "kind"]
    assert all(singular(each) in kind.help for each in KINDS)
