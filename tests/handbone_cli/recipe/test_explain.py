from __future__ import annotations

import pytest

from handbone_cli.errors import RecipeError
from handbone_cli.host.hookspecs import KINDS
from handbone_cli.host.registry import installed
from handbone_cli.recipe.load import load_recipe
from handbone_cli.recipe.schema import Train

LEAST = 'name = "least"\n[model]\nname = "nnunet"\n[loss]\nname = "dice"\n'
SECTIONS = (
    "augment, data, extends, loss, model, name, optimizer, postprocess, predict, preprocess, "
    "scheduler, seed, tracking, train, tta"
)


@pytest.fixture
def problems(tmp_path):
    """What is wrong with LEAST under some text and overrides, and where the recipe lies."""

    def problems(text="", *overrides):
        path = tmp_path / "recipe.toml"
        path.write_text(LEAST + text)
        with pytest.raises(RecipeError) as caught:
            load_recipe(str(path), installed(), overrides)
        return [line.replace(f"{path}: ", "FILE: ") for line in caught.value.problems]

    return problems


def test_all_mistakes_at_once_with_file_key_value_and_nearest_name(problems):
    text = "[train]\nepoch = 5\nbatch_size = 0\n[data]\ndataset = 'generatd'\n"
    names = ", ".join(installed().names("datasets"))
    assert problems(text) == [
        "FILE: train.batch_size = 0: expected 1 or more.",
        (
            "FILE: train.epoch = 5: there is no such key. Did you mean 'epochs'? "
            f"Known: {', '.join(sorted(Train.model_fields))}."
        ),
        (
            "FILE: data.dataset = 'generatd': no dataset is named 'generatd'. "
            f"Did you mean 'generated'? Known: {names}."
        ),
    ]


def test_each_mistake_names_the_file_it_stands_in(tmp_path):
    (tmp_path / "base.toml").write_text(LEAST + "[train]\nepochs = 0\n")
    (tmp_path / "child.toml").write_text("extends = 'base.toml'\n[optimizer]\nlr = 0\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(tmp_path / "child.toml"), installed(), ["seed=-1"])
    assert sorted(line.split(" = ")[0] for line in caught.value.problems) == sorted(
        [
            "--set: seed",
            f"{tmp_path / 'base.toml'}: train.epochs",
            f"{tmp_path / 'child.toml'}: optimizer.lr",
        ]
    )


def test_an_unknown_section_and_a_missing_one(tmp_path):
    path = tmp_path / "recipe.toml"
    path.write_text("name = 'x'\n[modle]\nname = 'nnunet'\n[loss]\nname = 'dice'\n")
    with pytest.raises(RecipeError) as caught:
        load_recipe(str(path), installed())
    assert caught.value.problems == [
        f"{path}: model: this key is missing.",
        f"{path}: modle: there is no such key. Did you mean 'model'? Known: {SECTIONS}.",
    ]


@pytest.mark.parametrize(
    ("override", "place", "kind", "nearest"),
    [
        ("model.name=nnunt", "model.name = 'nnunt'", "models", "nnunet"),
        ("loss.name=dize", "loss.name = 'dize'", "losses", "dice"),
        ("data.dataset=competitoin", "data.dataset = 'competitoin'", "datasets", "competition"),
        ("data.loader=tortch", "data.loader = 'tortch'", "loaders", "torch"),
        ("tta=[{name='hflp'}]", "tta.0.name = 'hflp'", "tta", "hflip"),
        (
            "postprocess=[{name='remove_smal'}]",
            "postprocess.0.name = 'remove_smal'",
            "postprocessors",
            "remove_small",
        ),
        ("tracking.trackers=['jsnl']", "tracking.trackers.0 = 'jsnl'", "trackers", "jsonl"),
    ],
)
def test_an_unknown_plugin_of_any_kind_gets_the_nearest(problems, override, place, kind, nearest):
    name = place.split("'")[1]
    known = ", ".join(installed().names(kind))
    assert problems("", override) == [
        (
            f"--set: {place}: no {KINDS[kind]} is named '{name}'. "
            f"Did you mean '{nearest}'? Known: {known}."
        )
    ]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "model.featuers=[1, 2]",
            (
                "model.featuers = [1, 2]: there is no such key. Did you mean 'features'? "
                "Known: convs_per_stage, deep_supervision, features, norm, partial, plan, weights."
            ),
        ),
        ("model.norm=layer", "model.norm = 'layer': expected 'instance' or 'batch'."),
        ("model={name='nnunet', weights=5}", "model.weights = 5: expected a path."),
        ("model.partial=some", "model.partial = 'some': expected true or false."),
        (
            "model.partial=true",
            "model: partial = true says how weights are taken over, and there are none.",
        ),
        (
            "train.weights=x",
            (
                "train.weights = 'x': there is no such key. Did you mean 'model.weights'? "
                f"Known: {', '.join(sorted(Train.model_fields))}."
            ),
        ),
        (
            "tta=[{name='hflip'}, {name='rot90', turns=4}]",
            "tta.1.turns = 4: expected 1, 2 or 3.",
        ),
        ("tta=[{name='scale'}]", "tta.0.factor: this key is missing."),
    ],
)
def test_options_are_checked_by_their_plugin(problems, override, line):
    assert problems("", override) == [f"--set: {line}"]


def test_keys_beside_data_belong_to_the_dataset(problems, tmp_path):
    text = "[data]\ndataset = 'generated'\npeople = 3\n"
    (tmp_path / "good.toml").write_text(LEAST + text)
    recipe = load_recipe(str(tmp_path / "good.toml"), installed())
    assert recipe.data.dataset_options == {"people": 3}
    assert problems(text, "data.people=0") == ["--set: data.people = 0: expected 1 or more."]
    (line,) = problems(text, "data.ptach=64")
    assert line.startswith("--set: data.ptach = 64: there is no such key. Did you mean 'patch'? ")
    assert "people" in line


@pytest.mark.parametrize(
    ("override", "line"),
    [
        (
            "data.clahe.clip_limt=2",
            (
                "data.clahe.clip_limt = 2: there is no such key. Did you mean 'clip_limit'? "
                "Known: clip_limit, tiles."
            ),
        ),
        (
            "data.clahe=true",
            "data.clahe = true: expected a table or false.",
        ),
        ("data.fold=7", "data.fold = 7: expected 0 to 4."),
        ("train=5", "train = 5: expected a table."),
        ("data=5", "data = 5: expected a table."),
        ("tta=5", "tta = 5: expected a list."),
        ("tta=[5]", "tta.0 = 5: expected a table."),
        ("model.name=5", "model.name = 5: expected text."),
        ("tracking=5", "tracking = 5: expected a table."),
    ],
)
def test_one_mistake_is_one_line_whatever_its_type(problems, override, line):
    assert problems("", override) == [f"--set: {line}"]


@pytest.mark.parametrize(
    ("override", "meant"),
    [
        ("epochs=3", "'train.epochs'"),
        ("train.lr=3", "'optimizer.lr'"),
        ("data.epochs=3", "'train.epochs'"),
        ("train.seed=3", "'seed'"),
        ("model.patch=3", "'data.patch'"),
        ("data.clahe.resize=64", "'data.resize'"),
        ("batch_size=1", "'train.batch_size' or 'predict.batch_size'"),
        ("predict.batchsize=1", "'batch_size'"),
        ("optimizer.name_=1", "'name'"),
    ],
)
def test_a_key_of_another_section_is_offered_by_its_whole_name(problems, override, meant):
    (line,) = problems("", override)
    assert f": there is no such key. Did you mean {meant}? Known: " in line


def test_every_option_of_a_loss_can_be_set_in_a_combination(problems):
    for loss in installed().names("losses"):
        options = set(installed().get("losses", loss).options_type().model_fields)
        assert not options & {"name", "weight"}
    term = "{name='generalized_dice', weight=2.0, class_weight='cube'}"
    assert problems("", "loss.name=combined", f"loss.terms=[{term}]") == [
        "--set: loss.terms.0.class_weight = 'cube': expected 'square', 'simple' or 'uniform'."
    ]


def test_losses_that_a_combination_names_are_checked_too(problems):
    terms = "[{name='dize'}, {name='focal', gama=1}, {name='combined', terms=[{name='bce', x=1}]}]"
    losses = ", ".join(installed().names("losses"))
    assert problems("", "loss.name=combined", f"loss.terms={terms}") == [
        (
            "--set: loss.terms.0.name = 'dize': no loss is named 'dize'. "
            f"Did you mean 'dice'? Known: {losses}."
        ),
        (
            "--set: loss.terms.1.gama = 1: there is no such key. Did you mean 'gamma'? "
            "Known: alpha, gamma."
        ),
        "--set: loss.terms.2.terms.0.x = 1: there is no such key. None is known.",
    ]


@pytest.mark.parametrize(
    ("override", "line"),
    [
        ("tracking.trackers=[5]", "tracking.trackers.0 = 5: expected a table or a name."),
        ("tracking.trackers=['jsonl', {}]", "tracking.trackers.1.name: this key is missing."),
        ("tracking.trackers=wandb", "tracking.trackers = 'wandb': expected a list."),
        (
            "tracking.trackers=['wandb', {name='wandb'}]",
            "tracking: 'wandb' is there 2 times; once is enough.",
        ),
        (
            "tracking.trackers=[{name='wandb', mod='online'}]",
            (
                "tracking.trackers.0.mod = 'online': there is no such key. Did you mean 'mode'? "
                "Known: entity, mode, pictures, project, run_name, tags."
            ),
        ),
        (
            "tracking.trackers=['jsonl', {name='wandb', mode='of'}]",
            "tracking.trackers.1.mode = 'of': expected 'online', 'offline' or 'disabled'.",
        ),
        ("tracking.pictures=-1", "tracking.pictures = -1: expected 0 or more."),
        ("data.clahe=true", "data.clahe = true: expected a table or false."),
    ],
)
def test_an_entry_of_trackers_is_a_name_or_a_table(problems, override, line):
    assert problems("", override) == [f"--set: {line}"]
