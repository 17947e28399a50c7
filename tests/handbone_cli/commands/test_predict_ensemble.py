from __future__ import annotations

import json
import shutil
from dataclasses import replace

import numpy as np
import pytest

from handbone_cli.commands.wiring import summing
from handbone_cli.commands.wiring.memory_plan import Plan
from handbone_cli.decision import document
from handbone_cli.decision.decide import DecidedMasks, weighted_sum
from handbone_cli.errors import HandboneError
from handbone_cli.prediction.predictor import Predictor
from handbone_cli.store.store import Store
from handbone_cli.testing import BONES, hb
from handbone_cli.testing.tiny import draw_tiny_hand, write_png

WEIGHTS = np.array([[0.3, 0.7], [0.5, 0.5], [1.0, 0.0], [0.15, 0.85]])
THRESHOLDS = np.array([0.5, 0.37, 0.61, 0.2])
FULL = (0, 64, 0, 64)


@pytest.fixture(scope="module")
def folds(tiny_data, tmp_path_factory):
    """About 2 s: a cross-validation of three short runs."""
    path = tmp_path_factory.mktemp("folds") / "all"
    sets = ("--set", "train.epochs=1", "--set", "train.patches_per_image=8")
    done = hb("train", tiny_data.recipe, "--fold", "all", *sets, "-o", path)
    assert done.code == 0, done.err
    return path


def save_decision(path, members, weights=WEIGHTS, thresholds=THRESHOLDS, rules=()):
    """A decision over stores as `hb ensemble optimize` would write it."""
    stores = [Store.open(member) for member in members]
    decision = document.Decision(
        BONES, np.asarray(weights), thresholds, tuple(members),
        tuple(store.digest() for store in stores),
        tuple(document.model_of(store) for store in stores), tuple(rules),
    )  # fmt: skip
    document.save(decision, path)
    return path


@pytest.fixture
def decision(trained_run, second_run, tmp_path):
    rules = [{"name": "remove_small", "min_area": 9}]
    return save_decision(tmp_path / "e.toml", (trained_run.val, second_run.val), rules=rules)


def settings_of(store):
    return Store.open(store).manifest["settings"]


def planes(store, image_id):
    image = Store.open(store).load(image_id)
    return [image.crop(index, FULL) for index in range(len(BONES))]


def images(store):
    return {path.name: path.read_bytes() for path in (store / "images").iterdir()}


def predict(runs, store, *words, split="test"):
    done = hb("predict", *runs, "-i", split, "-o", store, *words)
    assert done.code == 0, done.err
    return done


def test_the_mean_of_two_runs(trained_run, second_run, tmp_path):
    done = predict((trained_run.run, second_run.run), tmp_path / "sum")
    assert done.out == f"{tmp_path / 'sum'}: 2 images\n"
    for image_id in Store.open(tmp_path / "sum").image_ids:
        parts = [planes(store, image_id) for store in (trained_run.test, second_run.test)]
        for one, other, total in zip(*parts, planes(tmp_path / "sum", image_id), strict=True):
            exact = (one.astype(float) + other) / 2
            kept = total > 0
            assert kept.any()
            assert np.abs(total - exact)[kept].max() <= 0.5
            assert np.array_equal(total > 127, exact > 127.5)  # ties at 127.5 are no bone
    assert settings_of(tmp_path / "sum")["shares"] == [0.5, 0.5]


def test_masks_are_those_of_the_decision_on_the_members_stores(
    decision, trained_run, second_run, tmp_path
):
    """Whatever the threshold and whatever order the runs are named in."""
    store, csvs = tmp_path / "sum", [tmp_path / f"{name}.csv" for name in "ab"]
    predict((second_run.run, trained_run.run), store, "--weights", decision)
    on = ("--on", trained_run.test, "--on", second_run.test)
    assert hb("submit", decision, *on, "-o", csvs[0]).code == 0
    assert hb("submit", store, "-o", csvs[1]).code == 0
    assert csvs[0].read_bytes() == csvs[1].read_bytes()
    halves = [tmp_path / "half.csv", tmp_path / "half.toml"]
    save_decision(halves[1], (trained_run.val, second_run.val), thresholds=np.full(4, 0.5))
    assert hb("submit", halves[1], *on, "-o", halves[0]).code == 0
    assert halves[0].read_bytes() != csvs[0].read_bytes()  # thresholds matter on these films
    scores = [
        json.loads(hb("evaluate", *words, "--json").out) for words in ((decision, *on), (store,))
    ]
    assert scores[0] == scores[1]


def test_sums_are_within_a_level_of_the_decisions(decision, trained_run, second_run, tmp_path):
    predict((trained_run.run, second_run.run), tmp_path / "sum", "--weights", decision)
    for image_id in Store.open(tmp_path / "sum").image_ids:
        parts = [planes(store, image_id) for store in (trained_run.test, second_run.test)]
        for index, total in enumerate(planes(tmp_path / "sum", image_id)):
            exact = weighted_sum([part[index] for part in parts], WEIGHTS[index])
            kept = total > 0
            assert np.abs(total - exact)[kept].max() <= 1
            far = np.abs(exact - 255 * THRESHOLDS[index]) > 1
            assert np.abs(total - exact)[kept & far].max() <= 0.5


def test_the_manifest_says_the_members_and_the_decision(
    decision, trained_run, second_run, tmp_path
):
    store = tmp_path / "sum"
    predict((second_run.run, trained_run.run), store, "--weights", decision)
    settings = settings_of(store)
    assert settings["model"] == "tiny + second"
    assert [each["weights"] for each in settings["members"]] == [
        settings_of(each)["weights"] for each in (trained_run.val, second_run.val)
    ]
    assert settings["shares"] == dict(zip(BONES, WEIGHTS.tolist(), strict=True))
    assert settings["thresholds"] == dict(zip(BONES, THRESHOLDS.tolist(), strict=True))
    assert settings["postprocess"] == [{"name": "remove_small", "min_area": 9}]
    lines = hb("store", "info", store).out.splitlines()
    told = {line[:11].strip(): line for line in lines}
    for number, each in enumerate(settings["members"], start=1):
        assert f"model={each['model']} weights={each['weights']}" in told[f"member {number}"]
    assert "finger-1=0.5 Capitate=0.37" in told["thresholds"]
    assert hb("store", "verify", store).code == 0


def test_masks_and_pictures_go_by_the_decision(decision, trained_run, second_run, tmp_path):
    import cv2

    store, masks = tmp_path / "sum", tmp_path / "masks"
    predict((trained_run.run, second_run.run), store, "--weights", decision, "--masks", masks)
    loaded = document.load(decision).on((trained_run.test, second_run.test))
    from handbone_cli.commands.wiring.masks import build_rules
    from handbone_cli.host.registry import installed

    rules = build_rules(loaded.postprocess, BONES, installed())
    expected = DecidedMasks(loaded, document.open_members(loaded), rules)
    for image_id in expected.image_ids:
        mask = expected.mask(image_id)
        for index, bone in enumerate(BONES):
            found = cv2.imread(str(masks / image_id / f"{bone}.png"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(found > 0, mask.crop(index, FULL))
    assert hb("visualize", store, "-o", tmp_path / "pictures").code == 0


def test_again_does_nothing_and_other_weights_are_another_store(
    decision, trained_run, second_run, tmp_path, monkeypatch
):
    runs, store = (trained_run.run, second_run.run), tmp_path / "sum"
    predict(runs, store, "--weights", decision)
    other = tmp_path / "other.toml"
    save_decision(other, (trained_run.val, second_run.val), WEIGHTS[::-1])
    refused = hb("predict", *runs, "-i", "test", "-o", store, "--weights", other)
    assert refused.code == 1
    assert "holds a store of another prediction" in refused.err
    assert "shares.Radius (1.0, 0.0 then, 0.5, 0.5 now)" in refused.err
    monkeypatch.setattr(Predictor, "predict_prepared", None)
    predict(runs[::-1], store, "--weights", decision)


def test_a_member_of_no_weight_is_not_predicted(trained_run, second_run, tmp_path):
    """Its store would not change a mask, and its time is saved."""
    path = save_decision(
        tmp_path / "e.toml", (trained_run.val, second_run.val), [[0.0, 1.0]] * 4, np.full(4, 0.5)
    )
    runs = (trained_run.run, second_run.run)
    done = predict(runs, tmp_path / "sum", "--weights", path)
    assert f"{trained_run.run}: has no weight in {path}, so it is not predicted\n" in done.err
    assert len(settings_of(tmp_path / "sum")["members"]) == 1
    assert images(tmp_path / "sum") == images(second_run.test)


def test_options_go_to_all_and_are_told_where_they_change_what_weights_were_chosen_for(
    decision, trained_run, second_run, tmp_path
):
    runs = (trained_run.run, second_run.run)
    done = predict(runs, tmp_path / "sum", "--weights", decision, "--tta", "hflip")
    for run in runs:
        assert (
            f"{run}: its weight in {decision} was chosen with tta (none then, hflip now)"
            in done.err
        )
    settings = settings_of(tmp_path / "sum")
    assert [each["tta"] for each in settings["members"]] == [[{"name": "hflip"}]] * 2


def test_each_member_has_its_own_recipe(trained_run, second_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second_run.run, run)
    recipe = (run / "recipe.toml").read_text()
    assert "stride = 32" in recipe
    (run / "recipe.toml").write_text(recipe.replace("stride = 32", "stride = 16"))
    predict((trained_run.run, run), tmp_path / "sum")
    members = settings_of(tmp_path / "sum")["members"]
    assert [each["predict"]["stride"] for each in members] == [32, 16]


def test_the_mean_of_all_folds(folds, tmp_path):
    predict((folds,), tmp_path / "mean")
    for fold in range(3):
        predict((folds / f"fold{fold}",), tmp_path / str(fold))
    for image_id in Store.open(tmp_path / "mean").image_ids:
        parts = [planes(tmp_path / str(fold), image_id) for fold in range(3)]
        for index, total in enumerate(planes(tmp_path / "mean", image_id)):
            exact = np.mean([part[index] for part in parts], axis=0)
            assert np.abs(total - exact)[total > 0].max() <= 0.5
            assert np.array_equal(total > 127, exact > 127.5)
    settings = settings_of(tmp_path / "mean")
    assert settings["data"]["fold"] == "mean of all"
    assert settings["weights"] == settings_of(folds / "out_of_fold")["weights"]


def test_weights_chosen_out_of_fold_apply_to_the_test_people(folds, trained_run, tmp_path):
    """In one command, or through the stores of the means: the same masks."""
    other = tmp_path / "other"
    shutil.copytree(trained_run.val, other)
    path = save_decision(tmp_path / "e.toml", (folds / "out_of_fold", other))
    predict((trained_run.run, folds), tmp_path / "sum", "--weights", path)
    predict((folds,), tmp_path / "mean")
    csvs = [tmp_path / f"{name}.csv" for name in "ab"]
    on = ("--on", tmp_path / "mean", "--on", trained_run.test)
    assert hb("submit", path, *on, "-o", csvs[0]).code == 0
    assert hb("submit", tmp_path / "sum", "-o", csvs[1]).code == 0
    assert csvs[0].read_bytes() == csvs[1].read_bytes()
    wrong = hb("submit", path, "--on", trained_run.test, "--on", tmp_path / "mean", "-o", csvs[0])
    assert "predict with the mean of them (hb predict FOLDER" in wrong.err


def test_val_with_folds_is_predicted_by_those_who_left_the_people_out(folds, tmp_path):
    """Of several cross-validations, and with --max-ram of one, to the same bytes."""
    predict((folds,), tmp_path / "capped", "--max-ram", "64G", split="val")
    assert images(tmp_path / "capped") == images(folds / "out_of_fold")
    assert settings_of(tmp_path / "capped") == settings_of(folds / "out_of_fold")
    assert not any(each.seen for each in Store.open(tmp_path / "capped").images.values())


def test_people_that_a_member_was_trained_on_are_marked(trained_run, second_run, tmp_path):
    for split, seen in (("train", True), ("val", False)):
        store = tmp_path / split
        predict((trained_run.run, second_run.run), store, split=split)
        assert {each.seen for each in Store.open(store).images.values()} == {seen}
        assert Store.open(store).manifest["labels"]["root"] == str(trained_run.data.root)


@pytest.mark.parametrize("room", [0, 10**9])
def test_models_in_turn_make_the_same_store(
    decision, folds, trained_run, second_run, tmp_path, monkeypatch, room
):
    """With room for one image, and for all of them."""
    runs = (trained_run.run, second_run.run)
    one, other = tmp_path / "one", tmp_path / "other"
    predict(runs, one, "--weights", decision, split="val")
    predict((folds,), tmp_path / "mean")
    monkeypatch.setattr(
        "handbone_cli.commands.wiring.memory_plan.plan_memory",
        lambda *_: Plan(together=False, room=room),
    )
    loads = []
    free = summing.free_cache
    monkeypatch.setattr(summing, "free_cache", lambda: loads.append(free()))
    predict(runs, other, "--weights", decision, split="val")
    assert images(one) == images(other)
    assert json.loads((one / "manifest.json").read_text()) == json.loads(
        (other / "manifest.json").read_text()
    )
    assert len(loads) == (2 if room else 5)  # 4 images; the model that is loaded begins
    predict((folds,), tmp_path / "turns")
    assert images(tmp_path / "turns") == images(tmp_path / "mean")
    oof = tmp_path / "oof"
    predict((folds,), oof, "--max-ram", "64G", split="val")
    assert images(oof) == images(folds / "out_of_fold")


def test_wrong_members(decision, folds, trained_run, second_run, tmp_path):
    a, b = trained_run.run, second_run.run
    copy = tmp_path / "copy"
    shutil.copytree(a, copy)
    no, toml = tmp_path / "no", tmp_path / "no.toml"
    store, lacks = trained_run.val, "no RUN has the weights that its member"
    for runs, words, said in (
        ((a, a), (), f"{a}: is named twice; a model counts once."),
        ((a, copy), (), f"{copy}: has a model of {a} (the same weights), which would count twice"),
        ((a, folds, b), (decision,), f"{folds}: none of the members of {decision} was predicted"),
        ((a,), (decision,), f"{decision}: {lacks} {{second}} was predicted with; name the run"),
        (
            (a, folds),
            (decision,),
            f"{lacks} {{second}} was predicted with ({folds}: other weights)",
        ),
        ((a, no), (), f"{no}: no such file or folder; expected a run directory"),
        ((a, store), (), f"{store}: a store (what `hb predict` wrote); expected a run directory"),
        ((a, b), (toml,), f"{toml}: no such file or folder; expected a decision (.toml)"),
    ):
        weights = ("--weights", *words) if words else ()
        done = hb("predict", *runs, "-i", "test", "-o", tmp_path / "store", *weights)
        second = document.load(decision).members[1]
        assert done.code == 1
        assert said.format(second=second) in done.err
        assert done.err.count("\n") == 1
        assert not (tmp_path / "store").exists()


def test_one_run_twice_in_a_decision(trained_run, tmp_path):
    predict((trained_run.run,), tmp_path / "flipped", "--tta", "hflip", split="val")
    path = save_decision(tmp_path / "e.toml", (trained_run.val, tmp_path / "flipped"))
    words = ("-i", "test", "-o", tmp_path / "store", "--weights", path)
    done = hb("predict", trained_run.run, *words)
    assert done.code == 1
    assert "were predicted with the same weights, which a run brings but once" in done.err


def test_splits_that_are_not_the_same_images(folds, trained_run, tmp_path):
    words = ("-o", tmp_path / "store")
    done = hb("predict", trained_run.run, folds, "-i", "val", *words)
    assert done.code == 1
    assert f"{folds}: its 'val' images are not those of {trained_run.run} (image00" in done.err
    done = hb("predict", folds, "-i", "train", *words)
    assert done.code == 1
    assert "all of its folds together were trained on everyone" in done.err
    assert not (tmp_path / "store").exists()


def test_other_classes(trained_run, second_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second_run.run, run)
    facts = json.loads((run / "run.json").read_text())
    for names, what in (
        (["finger-9", *BONES[1:]], "'finger-9' is not among the other's; it lacks 'finger-1'"),
        (list(BONES[::-1]), "the same names in another order"),
    ):
        (run / "run.json").write_text(json.dumps({**facts, "class_names": names}))
        done = hb("predict", trained_run.run, run, "-i", "test", "-o", tmp_path / "store")
        said = f"{run}: predicts 4 classes and {trained_run.run} 4, which are not the same ({what})"
        assert done.code == 1
        assert done.err == f"hb: {said}; only models of one list of classes can be summed.\n"


def test_too_little_ram(trained_run, second_run, tmp_path):
    for runs in ((trained_run.run, second_run.run), (trained_run.run,)):
        done = hb("predict", *runs, "-i", "test", "-o", tmp_path / "store", "--max-ram", "20M")
        assert done.code == 1
        assert done.err.startswith("hb: --max-ram 20 MiB: one model and one image take about ")
        assert "for an image of 64 x 64 px; allow that much" in done.err
        assert not (tmp_path / "store").exists()
    done = hb("predict", trained_run.run, "-i", "test", "-o", tmp_path / "s", "--max-ram", "much")
    assert done.err == "hb: --max-ram much: expected a size above 0 such as 8G or 500M.\n"


def test_one_run_with_a_cap_makes_the_store_of_one_without(trained_run, tmp_path):
    predict((trained_run.run,), tmp_path / "store", "--max-ram", "64G")
    assert images(tmp_path / "store") == images(trained_run.test)
    assert settings_of(tmp_path / "store") == settings_of(trained_run.test)


def test_a_film_that_cannot_be_read(trained_run, second_run, tmp_path):
    write_png(tmp_path / "films" / "good.png", draw_tiny_hand(7, 1, 64, 4)[0])
    (tmp_path / "films" / "bad.png").write_text("hello")
    runs = (trained_run.run, second_run.run)
    done = hb("predict", *runs, "-i", "films", "-o", "sum", cwd=tmp_path)
    assert done.code == 1
    assert done.err.endswith("whatever its name says. The other 1 of 2 are in sum.\n")


def test_rules_that_differ(trained_run, second_run, tmp_path):
    run = tmp_path / "run"
    shutil.copytree(second_run.run, run)
    recipe = (run / "recipe.toml").read_text()
    assert "postprocess = []" in recipe
    rules = 'postprocess = [{ name = "remove_small", min_area = 900 }]'
    (run / "recipe.toml").write_text(recipe.replace("postprocess = []", rules))
    done = predict((trained_run.run, run), tmp_path / "sum")
    assert "the members' post-processing differs, so none is applied\n" in done.err
    assert settings_of(tmp_path / "sum")["postprocess"] == []


def test_thresholds_that_a_store_lost(decision, trained_run, second_run, tmp_path):
    store = tmp_path / "sum"
    predict((trained_run.run, second_run.run), store, "--weights", decision)
    manifest = json.loads((store / "manifest.json").read_text())
    del manifest["settings"]["thresholds"]["Ulna"]
    (store / "manifest.json").write_text(json.dumps(manifest))
    with pytest.raises(HandboneError, match="thresholds are not one number a class"):
        document.of_store(store, Store.open(store))


def test_a_decision_of_one_class_list_is_not_that_of_another(
    decision, trained_run, second_run, tmp_path
):
    loaded = document.load(decision)
    other = replace(loaded, class_names=("a", *BONES[1:]))
    document.save(other, tmp_path / "o.toml")
    words = ("-i", "test", "-o", tmp_path / "store", "--weights", tmp_path / "o.toml")
    done = hb("predict", trained_run.run, second_run.run, *words)
    assert done.code == 1
    assert "'a' is not among the other's; it lacks 'finger-1'" in done.err
