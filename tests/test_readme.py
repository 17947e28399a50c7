"""What README.md shows is true: commands, options, recipes and the plugin."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")


def blocks(language):
    return re.findall(rf"^```{language}\n(.*?)^```", README, re.DOTALL | re.MULTILINE)


def command_lines():
    shell = [line.strip() for block in blocks("sh") for line in block.splitlines()]
    console = [
        line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()
    ]
    return [line for line in [*shell, *console] if line.startswith("hb ")]


def test_the_walk_has_ten_commands():
    walk = next(block for block in blocks("sh") if "# 10" in block)
    lines = [line for line in walk.splitlines() if line.strip().startswith("hb ")]
    assert [line.rsplit("#", 1)[1].strip() for line in lines] == [str(n) for n in range(1, 11)]


def test_the_recipe_is_valid(tmp_path):
    from handbone_cli.host.registry import installed
    from handbone_cli.recipe.load import load_recipe

    text = next(block for block in blocks("toml") if "[model]" in block)
    path = tmp_path / "first.toml"
    path.write_text(text, encoding="utf-8")
    recipe = load_recipe(str(path), installed())
    assert recipe.name == "first"
    assert recipe.data.root == tmp_path / "data"
    lines = text.replace("# resize", "resize")
    path.write_text(lines, encoding="utf-8")
    assert load_recipe(str(path), installed()).data.resize == 512


BAD = """
name = "first"
[model]
name = "nnunett"
[loss]
name = "dice"
smoth = 2
[train]
epochs = "ten"
batchsize = 4
"""


def test_the_mistakes_are_reported_as_shown(tmp_path, monkeypatch, capsys):
    from handbone_cli.cli import run

    monkeypatch.chdir(tmp_path)
    Path("bad.toml").write_text(BAD, encoding="utf-8")
    assert run(["recipes", "validate", "bad.toml"]) == 1
    said = capsys.readouterr().err.splitlines()
    (block,) = blocks("console")
    shown = block.split("$ hb ")[1].splitlines()[1:]
    assert len(shown) == len(said)
    for line, whole in zip(shown, said, strict=True):
        assert whole.startswith(line.removesuffix("..."))


def test_wrong_pictures_are_reported_as_shown(trained_run, tmp_path, monkeypatch, capsys):
    from handbone_cli.cli import run
    from handbone_cli.testing.tiny import draw_tiny_hand, write_png

    monkeypatch.chdir(tmp_path)
    shutil.copytree(trained_run.run, "runs/first")
    for number in range(11):
        write_png(Path(f"films/film{number}.png"), draw_tiny_hand(number, 0, 64, 4)[0])
    whole = Path("films/film0.png").read_bytes()
    Path("films/cut.png").write_bytes(whole[: len(whole) // 2])
    Path("note.png").write_text("hello", encoding="utf-8")
    (block,) = blocks("console")
    for shown in block.split("$ hb ")[2:]:
        line, *said = shown.splitlines()
        assert run(shlex.split(line)) == 1
        assert capsys.readouterr().err.splitlines()[1:] == said


def test_the_plugin_is_the_example():
    example = ROOT / "plugins" / "example"
    tutorial = (example / "README.md").read_text(encoding="utf-8")
    (code,) = blocks("python")
    assert f"```python\n{code}```" in tutorial
    assert len([line for line in code.splitlines() if line.strip()]) <= 20
    entry_point = next(block for block in blocks("toml") if "entry-points" in block)
    assert entry_point in (example / "pyproject.toml").read_text(encoding="utf-8")


def test_folders_in_the_map_exist():
    section = README.split("## Where everything is")[1].split("\n## ")[0]
    folders = re.findall(r"^\| `(\w+)/` \|", section, re.MULTILINE)
    assert len(folders) > 5
    assert [name for name in folders if not (ROOT / "handbone_cli" / name).is_dir()] == []


def test_links_lead_somewhere():
    targets = re.findall(r"(?<!!)\[[^\]]*\]\(([^)#:]+)\)", README)
    assert targets
    assert [target for target in targets if not (ROOT / target).exists()] == []
