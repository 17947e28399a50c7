from __future__ import annotations

import dataclasses

import pytest
import safetensors.torch
import torch
from torch import nn

from handbone_cli.errors import HandboneError
from handbone_cli.host.registry import installed
from handbone_cli.networks.build import build_segmenter
from handbone_cli.networks.initial_weights import (
    class_dimensions,
    compare,
    network_shapes,
    take_over,
)
from handbone_cli.networks.weights import open_tensors, own_tensors, save_tensors
from handbone_cli.networks.wrapper import Segmenter
from handbone_cli.recipe.load import load_recipe

BONES = ("finger-1", "Capitate", "Radius", "Ulna")


class Toy(nn.Module):
    """A stem, a head, and an affinity of every class with every other."""

    def __init__(self, classes, width=4, channels_of=lambda classes: classes):
        super().__init__()
        self.stem = nn.Conv2d(1, width, 3, padding=1)
        self.norm = nn.BatchNorm2d(width)
        self.head = nn.Conv2d(width, channels_of(classes), 1)
        self.affinity = nn.Parameter(torch.rand(classes, classes))

    def forward(self, images):
        return self.head(self.norm(self.stem(images)))


def toy(classes, seed=0, **options):
    """A toy network of which every number is another one."""
    torch.manual_seed(seed)
    model = Segmenter(Toy(classes, **options), classes, 1)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.rand(parameter.shape))
    return model


def shapes(model):
    return {name: tuple(tensor.shape) for name, tensor in own_tensors(model).items()}


@pytest.fixture
def write(tmp_path):
    """A file of a model's tensors; names of a file are changed by `rename`."""

    def write(model, names=BONES, rename=lambda name: name, path="w.safetensors"):
        tensors = {rename(n): tensor for n, tensor in own_tensors(model).items() if rename(n)}
        save_tensors(tmp_path / path, tensors, {"class_names": list(names)} if names else {})
        return open_tensors(tmp_path / path)

    return write


def match(file, names=BONES, partial=True, **options):
    return compare(
        file,
        shapes(toy(len(names), **options)),
        lambda: shapes(toy(len(names) + 1, **options)),
        names,
        model="toy",
        partial=partial,
    )


def started(file, names=BONES, partial=True, **options):
    """A network that began from a file, and the one that it was before."""
    model, before = (toy(len(names), seed=9, **options) for _ in range(2))
    found = match(file, names, partial, **options)
    take_over(found, model)
    return found, own_tensors(model), own_tensors(before)


def test_everything_of_the_same_network_is_taken(write):
    model = toy(4)
    found, now, _ = started(write(model), partial=False)
    assert all(torch.equal(now[name], each) for name, each in own_tensors(model).items())
    assert found.tensors == (11, 11)
    assert (found.share, found.complete, found.brought) == (1.0, True, (True,) * 4)
    assert found.mismatch() == ""


@pytest.mark.parametrize("prefix", ["", "core.", "module.", "model.module."])
def test_a_file_of_others_brings_no_bias_and_its_outputs_stay_as_they_are(write, prefix):
    model = toy(4)

    def theirs(name):
        return prefix + name.removeprefix("core.") if name.startswith("core.") else ""

    found, now, before = started(write(model, None, theirs), partial=False)
    assert torch.equal(now["core.head.weight"], model.core.head.weight)
    assert torch.equal(now["bias"], before["bias"])
    assert found.brought == (True,) * 4
    assert found.tensors == (10, 10)
    assert found.share == 1.0


def test_other_classes_are_refused_and_the_way_out_is_named(write):
    file = write(toy(4))
    with pytest.raises(HandboneError) as caught:
        match(file, ("Ulna", "Hamate"), partial=False)
    assert str(caught.value) == (
        f"{file.path}: was trained for 4 classes (finger-1, Capitate, Radius and 1 more), this "
        "dataset has 2 (Ulna, Hamate); set model.partial = true to take over what the two share."
    )


def test_another_order_is_another_list(write):
    file = write(toy(4))
    with pytest.raises(HandboneError) as caught:
        match(file, ("finger-1", "Radius", "Capitate", "Ulna"), partial=False)
    assert str(caught.value) == (
        f"{file.path}: was trained for the same 4 classes in another order (class 2 is Capitate in "
        "the file and Radius in this dataset); set model.partial = true to take over what belongs "
        "to each name."
    )


def test_rows_go_to_the_class_of_the_same_name_and_others_keep_their_start(write):
    model, names = toy(4), ("Ulna", "Hamate", "Capitate")
    found, now, before = started(write(model), names)
    old = own_tensors(model)
    assert found.sources == (3, None, 1)
    for name in ("core.head.weight", "core.head.bias", "bias"):
        assert torch.equal(now[name][0], old[name][3]), name
        assert torch.equal(now[name][2], old[name][1]), name
        assert torch.equal(now[name][1], before[name][1]), name
    affinity, theirs = now["core.affinity"], old["core.affinity"]
    assert torch.equal(affinity[[0, 0, 2, 2], [0, 2, 0, 2]], theirs[[3, 3, 1, 1], [3, 1, 3, 1]])
    assert torch.equal(affinity[1], before["core.affinity"][1])
    assert torch.equal(affinity[:, 1], before["core.affinity"][:, 1])
    assert torch.equal(now["core.stem.weight"], old["core.stem.weight"])
    assert found.brought == (True, False, True)
    assert found.complete


def test_the_same_classes_in_another_order_change_places(write):
    model, names = toy(4), BONES[::-1]
    found, now, _ = started(write(model), names)
    old = own_tensors(model)
    assert torch.equal(now["core.head.weight"], old["core.head.weight"].flip(0))
    assert torch.equal(now["core.affinity"], old["core.affinity"].flip(0, 1))
    assert torch.equal(now["bias"], old["bias"].flip(0))
    assert found.share == 1.0


def test_more_classes_than_the_file_has(write):
    names = ("Hamate", *BONES, "Lunate")
    model = toy(4)
    found, now, before = started(write(model), names)
    assert torch.equal(now["core.head.bias"][1:5], model.core.head.bias)
    assert torch.equal(now["core.head.bias"][[0, 5]], before["core.head.bias"][[0, 5]])
    assert found.brought == (False, True, True, True, True, False)


def test_no_class_in_common_leaves_the_heads_alone(write):
    model = toy(4)
    found, now, before = started(write(model), ("a", "b", "c", "d"))
    for name in ("core.head.weight", "core.head.bias", "core.affinity", "bias"):
        assert torch.equal(now[name], before[name]), name
    assert torch.equal(now["core.stem.weight"], model.core.stem.weight)
    assert found.tensors == (7, 11)
    assert found.brought == (False,) * 4
    assert found.complete


@pytest.mark.parametrize("channels", [lambda c: 2 * c, lambda c: c + 1])
def test_channels_that_nobody_can_tell_apart_are_not_moved(write, channels):
    model = toy(4, channels_of=channels)
    found, now, before = started(write(model), BONES[::-1], channels_of=channels)
    assert torch.equal(now["core.head.weight"], before["core.head.weight"])
    assert {*found.other_shape} == {"core.head.weight", "core.head.bias"}
    assert found.brought == (False,) * 4
    assert torch.equal(now["bias"], before["bias"])
    same, now, _ = started(write(model), partial=False, channels_of=channels)
    assert torch.equal(now["core.head.weight"], model.core.head.weight)
    assert same.brought == (True,) * 4


def test_without_class_names_a_head_of_as_many_is_taken_and_another_is_not(write):
    model = toy(4)
    found, now, _ = started(write(model, names=None), ("a", "b", "c", "d"), partial=False)
    assert torch.equal(now["core.head.weight"], model.core.head.weight)
    assert found.brought == (True,) * 4
    found, now, before = started(write(model, names=None), ("a", "b"))
    assert torch.equal(now["core.head.weight"], before["core.head.weight"])
    assert torch.equal(now["bias"], before["bias"])
    assert found.brought == (False, False)


def test_all_that_does_not_match_is_one_sentence(write):
    def other(name):
        return {"core.norm.weight": "core.gone", "core.norm.bias": ""}.get(name, name)

    file = write(toy(4, width=5), rename=other)
    with pytest.raises(HandboneError) as caught:
        match(file, partial=False)
    assert str(caught.value) == (
        f"{file.path}: does not match the network of model 'toy': 2 of its 11 tensors not in the "
        "file (core.norm.weight, core.norm.bias), 1 in the file alone (core.gone), 5 of another "
        "shape (core.stem.weight (5, 1, 3, 3) in the file, (4, 1, 3, 3) in the network and 4 "
        "more); set model.partial = true to take over what matches."
    )


def test_what_matches_is_taken_with_partial(write):
    def encoder_alone(name):
        return name if "stem" in name else "core.extra" if name == "core.norm.bias" else ""

    model = toy(4)
    found, now, before = started(write(model, rename=encoder_alone))
    assert torch.equal(now["core.stem.weight"], model.core.stem.weight)
    assert torch.equal(now["core.head.weight"], before["core.head.weight"])
    assert found.extra == ("core.extra",)
    assert "core.norm.weight" in found.missing
    assert found.brought == (False,) * 4
    assert not found.complete


def test_a_head_without_its_other_half_brings_no_class(write):
    model = toy(4)
    found, now, before = started(
        write(model, rename=lambda name: name if name != "core.head.bias" else "")
    )
    assert torch.equal(now["core.head.weight"], model.core.head.weight)
    assert found.brought == (False,) * 4
    assert torch.equal(now["bias"], before["bias"])


@pytest.mark.parametrize("partial", [True, False])
def test_nothing_that_matches_is_refused(write, partial):
    file = write(toy(4), rename=lambda name: name.replace("core.", "other."))
    with pytest.raises(HandboneError) as caught:
        match(file, partial=partial)
    assert str(caught.value) == (
        f"{file.path}: no tensor of it matches the network of model 'toy': the file has bias, "
        "other.affinity, other.head.bias and 8 more; the network has bias, core.affinity, "
        "core.head.bias and 8 more."
    )


def test_names_alone_or_a_counter_alone_are_no_match(write):
    file = write(toy(4, width=5), rename=lambda n: n if "norm" in n else "")
    with pytest.raises(HandboneError, match="no tensor of it matches"):
        match(file)


def test_half_precision_is_read_and_what_is_not_finite_refused(write, tmp_path):
    model = toy(4)
    tensors = {n: t.half() if t.is_floating_point() else t for n, t in own_tensors(model).items()}
    safetensors.torch.save_file(tensors, tmp_path / "h.safetensors")
    _, now, _ = started(open_tensors(tmp_path / "h.safetensors"))
    assert torch.equal(now["core.stem.weight"], model.core.stem.weight.half().float())
    assert now["core.stem.weight"].dtype == torch.float32
    tensors["core.stem.weight"][0] = torch.nan
    safetensors.torch.save_file(tensors, tmp_path / "h.safetensors")
    with pytest.raises(HandboneError) as caught:
        started(open_tensors(tmp_path / "h.safetensors"))
    assert str(caught.value) == (
        f"{tmp_path / 'h.safetensors'}: core.stem.weight holds numbers that are not finite; use "
        "other weights."
    )


def test_numbers_of_eight_bits_are_read(write, tmp_path):
    model = toy(4)
    tensors = own_tensors(model) | {
        "core.stem.weight": model.core.stem.weight.detach().to(torch.float8_e4m3fn),
        "core.head.weight": model.core.head.weight.detach().to(torch.float8_e5m2),
    }
    save_tensors(tmp_path / "e.safetensors", tensors, {"class_names": BONES})
    _, now, _ = started(open_tensors(tmp_path / "e.safetensors"), BONES[::-1])
    assert torch.equal(now["core.stem.weight"], tensors["core.stem.weight"].float())
    assert torch.equal(now["core.head.weight"], tensors["core.head.weight"].float().flip(0))


def test_dimensions_that_count_classes():
    def of(classes):
        return {"a": (classes, 3), "b": (3, classes), "c": (classes, classes), "d": (5, 5),
                "e": (2 * classes,), "f": (classes + 1, 3), "g": (1,) * classes}  # fmt: skip

    assert class_dimensions(of(5), of(6), 5) == {
        "a": (0,),
        "b": (1,),
        "c": (0, 1),
        "e": (),
        "f": (),
    }


@pytest.fixture
def with_toy(monkeypatch):
    """A model plugin whose builder is given; its options are those of nnunet."""

    def add(builder):
        component = dataclasses.replace(installed().get("models", "nnunet"), factory=builder)
        monkeypatch.setitem(installed().components["models"], "nnunet", component)

    return add


def test_the_shapes_of_a_recipes_network_cost_no_storage(tiny_data, with_toy):
    recipe, kept = load_recipe(str(tiny_data.recipe), installed()), []
    expected = shapes(build_segmenter(recipe, installed(), 3))
    assert network_shapes(recipe, installed(), 3, 1) == expected
    with_toy(lambda options, context: kept.append(Toy(context.classes)) or kept[-1])
    assert network_shapes(recipe, installed(), 3, 1) == shapes(toy(3))
    assert [parameter.is_meta for parameter in kept[0].parameters()] == [True] * 7


def test_a_builder_that_reads_its_own_weights_is_given_storage(tiny_data, with_toy):
    recipe, seen = load_recipe(str(tiny_data.recipe), installed()), []

    def build(options, context):
        core = Toy(context.classes)
        seen.append(core.stem.weight.is_meta)
        core.stem.weight.sum().item()
        return core

    with_toy(build)
    assert network_shapes(recipe, installed(), 3, 1) == shapes(toy(3))
    assert seen == [True, False]


def test_a_mistake_in_the_recipe_is_said_and_not_hidden(tiny_data, with_toy):
    class Large(Toy):
        minimum = 99

    recipe = load_recipe(str(tiny_data.recipe), installed())
    with_toy(lambda options, context: Large(context.classes))
    with pytest.raises(HandboneError, match="patch = 64"):
        network_shapes(recipe, installed(), 3, 1)
