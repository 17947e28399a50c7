from __future__ import annotations

import pytest

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.runs.queue.order import table_of
from handbone_cli.runs.queue.plan import make_plan

RECIPE = """name = "tiny"
[data]
dataset = "competition"
root = "hands"
folds = 3
[model]
name = "nnunet"
[loss]
name = "dice"
"""
HEAD = 'name = "q"\n'
TRAIN = '[[job]]\nname = "a"\ntrain = "r.toml"\n'
VAL = '[[job]]\nname = "val"\npredict = "val"\nruns = ["a"]\n'


@pytest.fixture
def plan(tmp_path):
    (tmp_path / "r.toml").write_text(RECIPE)

    def _plan(text, gpus=0):
        (tmp_path / "q.toml").write_text(text)
        return make_plan(tmp_path / "q.toml", installed(), gpus)

    return _plan


@pytest.fixture
def commands(plan):
    return lambda text, gpus=0: {job.name: " ".join(job.words) for job in plan(text, gpus).jobs}


def test_a_training_is_one_command(commands, tmp_path):
    text = TRAIN + 'set = { "train.epochs" = 3, data = { root = "../hands" } }\nfold = 1\n'
    assert commands(HEAD + text) == {
        "a": "train r.toml --set=train.epochs=3 "
        f"--set=data.root={tmp_path.parent / 'hands'} --fold=1 -o q/runs/a"
    }


def test_a_grid_is_every_combination_and_folds_vary_fastest(plan):
    grid = 'grid = { "optimizer.lr" = [1e-4, 0.5], optimizer.name = ["sgd"] }\nfold = [0, 2]\n'
    made = plan(HEAD + TRAIN + grid)
    assert [job.name for job in made.jobs] == [
        "a-lr=0.0001-name=sgd-fold=0",
        "a-lr=0.0001-name=sgd-fold=2",
        "a-lr=0.5-name=sgd-fold=0",
        "a-lr=0.5-name=sgd-fold=2",
    ]
    assert made.jobs[1].words[2:5] == (
        "--set=optimizer.lr=0.0001", "--set=optimizer.name=sgd", "--fold=2"
    )  # fmt: skip
    assert [each.recipe.data.fold for each in made.planned] == [0, 2, 0, 2]
    assert made.planned[2].recipe.optimizer.lr == 0.5


def test_all_folds_are_those_of_the_recipe(commands):
    assert list(commands(HEAD + TRAIN + 'fold = "all"\n')) == [f"a-fold={n}" for n in range(3)]
    more = 'fold = "all"\nset.data.folds = 2\n'
    assert list(commands(HEAD + TRAIN + more)) == ["a-fold=0", "a-fold=1"]


def test_what_follows_a_training_comes_once_for_each_run(plan):
    text = """fold = [0, 1]
grid = { seed = [1, 2] }
[[job]]
name = "val"
predict = "val"
runs = ["a"]
options = ["--tta", "hflip"]
[[job]]
name = "test"
predict = "test"
runs = ["a-seed=2-fold=1", "a"]
[[job]]
name = "weigh"
ensemble = ["val"]
[[job]]
name = "csv"
submit = "weigh"
on = ["test"]
[[job]]
name = "score"
hb = ["evaluate", "{val}", "--csv", "{output}/{part}.csv"]
each = "val"
[[job]]
name = "both"
hb = ["ensemble", "optimize", "{val}", "-o", "x.toml"]
"""
    jobs = {job.name: job for job in plan(HEAD + TRAIN + text).jobs}
    assert len(jobs) == 4 * 4 + 2 + 2 + 1
    assert jobs["val-a-seed=1-fold=0"].words == (
        "predict", "q/runs/a-seed=1-fold=0", "-i", "val", "-o",
        "q/stores/val-a-seed=1-fold=0", "--tta", "hflip",
    )  # fmt: skip
    assert jobs["val-a-seed=1-fold=0"].after == ("a-seed=1-fold=0",)
    assert jobs["weigh-fold=1"].words == (
        "ensemble", "optimize", "q/stores/val-a-seed=1-fold=1", "q/stores/val-a-seed=2-fold=1",
        "-o", "q/decisions/weigh-fold=1.toml",
    )  # fmt: skip
    # In the order of the decision, though `test` names them in another.
    assert jobs["csv-fold=1"].words == (
        "submit", "q/decisions/weigh-fold=1.toml", "--on", "q/stores/test-a-seed=1-fold=1",
        "--on", "q/stores/test-a-seed=2-fold=1", "-o", "q/submissions/csv-fold=1.csv",
    )  # fmt: skip
    assert jobs["csv-fold=1"].after == (
        "weigh-fold=1", "test-a-seed=1-fold=1", "test-a-seed=2-fold=1"
    )  # fmt: skip
    score = jobs["score-a-seed=2-fold=0"]
    assert score.words[1:] == (
        "q/stores/val-a-seed=2-fold=0", "--csv", "q/a-seed=2-fold=0.csv"
    )  # fmt: skip
    assert len(jobs["both"].after) == 4
    assert len(jobs["both"].words) == 2 + 4 + 2


def test_stores_of_one_fold_make_one_decision(commands):
    more = '[[job]]\nname = "w"\nensemble = ["val"]\n'
    made = commands(HEAD + TRAIN + "grid = { seed = [1, 2] }\n" + VAL + more)
    assert "w" in made


def test_defaults_of_the_queue_and_gpus(plan):
    head = HEAD + "retries = 4\npriority = 2\n"
    more = "gpus = 2\nretries = 0\n" + VAL + "priority = 9\n"
    train, val = plan(head + TRAIN + more, gpus=2).jobs
    assert (train.gpus, train.retries, train.priority) == (2, 0, 2)
    assert train.words[-1] == "--devices=2"
    assert (val.gpus, val.retries, val.priority) == (1, 4, 9)
    assert [job.gpus for job in plan(HEAD + TRAIN + VAL, gpus=0).jobs] == [0, 0]


def test_a_shipped_recipe_and_a_job_that_is_named_later(commands):
    later = '[[job]]\nname = "z"\nhb = ["recipes", "list"]\nafter = ["b"]\n'
    text = HEAD + later + '[[job]]\nname = "b"\ntrain = "quickstart"\n'
    assert list(commands(text)) == ["z", "b"]


def job(text):
    return HEAD + TRAIN + "[[job]]\n" + text


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (TRAIN, "q.toml: name: this key is missing."),
        (HEAD, "q.toml: job: this key is missing."),
        (HEAD + "job = []", "q.toml: job = []: expected at least 1 values, not 0."),
        (HEAD + "retrys = 2\n" + TRAIN, "retrys = 2: there is no such key. Did you mean 'retries'"),
        (HEAD + "slots = 0\n" + TRAIN, "slots = 0: expected 1 or more."),
        (HEAD + 'executor = "pbs"\n' + TRAIN, "expected 'local', 'ray' or 'slurm'."),
        (HEAD + 'executor = "ray"\n' + TRAIN, 'executor = "ray" needs gpus, the most'),
        (HEAD + 'sbatch = ["-x"]\n' + TRAIN, 'sbatch is for executor = "slurm"'),
        ('name = "a/b"\n' + TRAIN, "q.toml: name = 'a/b': expected text that matches"),
        (job('name = "b"\n'), "'b': expected just one of train, predict, ensemble, submit or hb"),
        (job('name = "b"\ntrain = "r.toml"\nhb = ["x"]\n'), "and it has train and hb."),
        (job('hb = ["recipes"]\n'), "q.toml: job 2: name: this key is missing."),
        (job('name = "b"\npredict = "val"\nruns = ["a"]\nrun = 1\n'), "job 'b': run = 1: there"),
        (job('name = "b"\npredict = "val"\n'), "q.toml: job 'b': runs: this key is missing."),
        (HEAD + TRAIN + TRAIN, "q.toml: two jobs are named 'a'; names must differ."),
        (job('name = "output"\nhb = ["x"]\n'), "{output} stands for something else"),
        (job('name = "b"\npredict = "val"\nruns = ["aa"]\n'),
         "job 'b': runs names 'aa', which is no job. Did you mean 'a'?"),
        (HEAD + TRAIN + VAL + '[[job]]\nname = "c"\npredict = "val"\nruns = ["val"]\n',
         "runs names 'val', which is one that predicts; expected one that trains."),
        (job('name = "b"\nsubmit = "a"\n'), "expected one that predicts or one that weighs."),
        (HEAD + TRAIN + 'after = ["b"]\n[[job]]\nname = "b"\nhb = ["x"]\nafter = ["a"]\n',
         "q.toml: jobs wait for each other in a circle: a -> b -> a."),
        (HEAD + TRAIN + 'after = ["a"]\n', "in a circle: a -> a."),
        (HEAD + TRAIN + "fold = [0, 1]\n" + VAL.replace('"a"', '"a-fold=2"'),
         "runs names 'a-fold=2', which is no job. Did you mean 'a-fold="),
        (HEAD + TRAIN + VAL + '[[job]]\nname = "w"\nensemble = ["val"]\n',
         "job 'w': one store (val-a) has nothing to be weighed against."),
        (HEAD + TRAIN + "fold = -1\n", 'fold = -1: expected a fold, a list of folds, or "all".'),
        (HEAD + TRAIN + "fold = [1, 1]\n", "a fold is named twice."),
        (HEAD + TRAIN + "fold = 3\n", "job 'a': --fold: data.fold = 3: expected 0 to 2."),
        (HEAD + TRAIN + "gpus = 3\n", "job 'a': gpus = 3, and the queue has 2."),
        (HEAD + TRAIN + "set.train.epoch = 3\n", "--set: train.epoch = 3: there is no such key."),
        (HEAD + TRAIN + "grid.train.epochs = 3\n", "grid.train.epochs = 3: expected a list"),
        (HEAD + TRAIN + "grid.train.epochs = []\n", "grid.train.epochs = []: expected a list"),
        (HEAD + TRAIN + "grid.seed = [1, 1]\n", "two jobs are named 'a-seed=1'"),
        (HEAD + TRAIN + "grid.seed = [1]\nset.seed = 2\n", "seed stands in set and in grid"),
        (HEAD + '[[job]]\nname = "a"\ntrain = "no.toml"\n', "no.toml: no such"),
        (HEAD + '[[job]]\nname = "a"\ntrain = "quickstar"\n', "Did you mean 'quickstart'?"),
        (HEAD + TRAIN + 'options = ["-o", "x"]\n', "options has '-o', which the queue says"),
        (job('name = "b"\nhb = ["x", "{c}"]\n'), "job 'b': hb names 'c', which is no job."),
        (job('name = "b"\nhb = ["x", "y={a}"]\n'), "{a} stands inside the word 'y={a}'"),
        (job('name = "b"\nhb = ["x"]\n[[job]]\nname = "c"\nhb = ["{b}"]\n'),
         "{b} makes nothing that has a name."),
        (HEAD + TRAIN + VAL + 'x = 1\n[[job]]\nname = "c"\nsubmit = "val"\n', "x = 1: there is no"),
        (HEAD + TRAIN + VAL + '[[job]]\nname = "c"\nsubmit = "val"\non = ["val"]\n',
         "on is for a decision, and 'val-a' is a store."),
        (HEAD + TRAIN + "grid.seed = [1, 2]\n" + VAL + '[[job]]\nname = "t"\npredict = "test"\n'
         'runs = ["a-seed=1"]\n[[job]]\nname = "w"\nensemble = ["val"]\n[[job]]\nname = "c"\n'
         'submit = "w"\non = ["t"]\n', "on has no store of 'a-seed=2', a member of the decision."),
    ],
)  # fmt: skip
def test_a_bad_queue_is_told_in_one_sentence(plan, text, said):
    with pytest.raises(HandboneError) as raised:
        plan(text, gpus=2)
    assert said in str(raised.value)
    assert str(raised.value).startswith("1 mistake in the queue:\n  ")


def test_all_mistakes_come_at_once(plan):
    text = HEAD + "slot = 1\n" + TRAIN + "folds = 1\n[[job]]\nname = 3\nhb = []\n"
    with pytest.raises(HandboneError, match="4 mistakes in the queue") as raised:
        plan(text)
    assert str(raised.value).count("\n") == 4
    text = HEAD + TRAIN + "grid.seed = [1, 2]\nset.train.epoch = 3\nset.optimizer.rl = 1\n"
    with pytest.raises(HandboneError, match="2 mistakes in the queue"):
        plan(text)


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"", "mistakes|this key is missing"), (b"[[job]", "not TOML"), (b"\xff\xfe", "not TOML")],
)
def test_an_empty_or_broken_file(tmp_path, content, said):
    (tmp_path / "q.toml").write_bytes(content)
    with pytest.raises(HandboneError, match=said):
        make_plan(tmp_path / "q.toml", installed(), 0)


def test_a_name_belongs_to_the_longest_table_that_it_begins_with():
    assert table_of("a-b-c", ["a", "a-b", "a-b-cd"]) == "a-b"
    assert table_of("ab", ["a"]) is None
