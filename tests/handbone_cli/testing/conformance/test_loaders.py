from __future__ import annotations

import numpy as np
import pytest
import torch

from handbone_cli.errors import HandboneError
from handbone_cli.testing import check_loader
from handbone_cli.testing.conformance import loaders


class Plain:
    """A sound loader, to be spoilt."""

    def __init__(self, context):
        self.context = context
        self.size = min(context.batch_size, len(context.source))

    def __len__(self):
        return len(self.context.source) // self.size

    def order(self, number):
        seed = (self.context.seed, number)
        return np.random.default_rng(seed).permutation(len(self.context.source)).tolist()

    def draw(self, number, place):
        return self.context.source.patch(number, place)

    def epoch(self, number, start=0):
        order, source = self.order(number), self.context.source
        for batch in range(start, len(self)):
            known = set(source.faults)
            whole = order[batch * self.size : (batch + 1) * self.size]
            places = self.share(whole)
            patches = [self.draw(number, place) for place in places]
            self.tell(source.faults.keys() - known)
            images = np.stack([patch.image for patch in patches])
            labels = np.stack([patch.labels for patch in patches])
            yield self.finish(torch.from_numpy(images), torch.from_numpy(labels))

    def share(self, whole):
        return self.context.share(whole)

    def tell(self, new):
        for image_id in new:
            self.context.note(self.context.source.faults[image_id])

    def finish(self, images, labels):
        return images, labels


class Long(Plain):
    def __len__(self):
        return super().__len__() + 1

    def order(self, number):
        return super().order(number) * 2


class Lying(Plain):
    def epoch(self, number, start=0):
        return iter(list(super().epoch(number, start))[:2])


class Double(Plain):
    def finish(self, images, labels):
        return images.double(), labels


class Swapping(Plain):
    """The images of a batch beside the labels of others."""

    def finish(self, images, labels):
        return images.flip(0), labels


class Blank(Plain):
    def finish(self, images, labels):
        return images, torch.zeros_like(labels)


class Repeating(Plain):
    def order(self, number):
        return super().order(number)[:6] * 2


class Bright(Plain):
    def finish(self, images, labels):
        return images + 0.05, labels


class First(Plain):
    """Every epoch is the first."""

    def epoch(self, number, start=0):
        return super().epoch(0, start)


class Unseeded(Plain):
    def order(self, number):
        return np.random.default_rng().permutation(len(self.context.source)).tolist()


class Deaf(Plain):
    """Knows of no start."""

    def epoch(self, number, start=0):
        return super().epoch(number)


class Consuming(Plain):
    """An epoch that was left leaves the next one shorter."""

    def __init__(self, context):
        super().__init__(context)
        self.rest = []

    def epoch(self, number, start=0):
        self.rest = self.rest or list(super().epoch(number, start))
        while self.rest:
            yield self.rest.pop(0)


class Empty(Plain):
    """Too few patches for a batch are none."""

    def __init__(self, context):
        super().__init__(context)
        self.size = context.batch_size


class Silent(Plain):
    def tell(self, new):
        pass


class Talking(Plain):
    def tell(self, new):
        for _ in range(2):
            super().tell(new)


class Forgetting(Plain):
    """Draws from a source of its own, as a process would that never reports back."""

    def draw(self, number, place):
        return loaders.draw_source(bad=(2,)).patch(number, place)


class Greedy(Plain):
    def share(self, whole):
        return whole


class Wrapping(Plain):
    def draw(self, number, place):
        try:
            return super().draw(number, place)
        except HandboneError as error:
            raise HandboneError(f"in worker 0: {error}") from error


class Swallowing(Plain):
    def epoch(self, number, start=0):
        try:
            yield from super().epoch(number, start)
        except HandboneError:
            return


@pytest.mark.parametrize(
    ("loader", "words"),
    [
        (Long, "12 patches in batches of 4 are 3 batches, it says 4"),
        (Lying, "it says 3 batches and gave 2"),
        (Double, "images are .* got .* torch.float64"),
        (Swapping, "an image is off by .* grey levels from the patch that has its labels"),
        (Blank, "labels came that are of no patch of the epoch"),
        (Repeating, "epoch 0 had the patches .*, each is to come once"),
        (Bright, "an image is off by 2.8"),
        (First, "labels came that are of no patch of the epoch|epoch 1 is epoch 0 again"),
        (Unseeded, "another loader, of 0 workers, gave other batches"),
        (Deaf, r"epoch\(0, start=1\) is not the rest of epoch\(0\)"),
        (Consuming, "after an epoch that was left, batches differ"),
        (Empty, "12 patches in batches of 50: it says 0 and gave 0"),
        (Silent, "context.note is to hear of image2 once, in one line; got"),
        (Talking, "context.note is to hear of image2 once"),
        (Forgetting, "source.quarantine was not told of image2|labels came that are of no patch"),
        (Greedy, "of 2 processes each is to give 2 of the 4 patches of a batch, one gave 4"),
        (Wrapping, "0 workers: the source's .* came as: in worker 0: no image is left"),
        (Swallowing, "no image can be read and nobody says so"),
    ],
)
def test_what_is_wrong_is_said(loader, words):
    with pytest.raises(AssertionError, match=words):
        check_loader(lambda _options, context: loader(context))


def test_an_epoch_that_comes_again_is_refused():
    tried = loaders.TriedLoader(First)
    with pytest.raises(AssertionError, match="epoch 1 is epoch 0 again; pass its number"):
        loaders.epochs(tried)


def test_a_source_that_is_never_told_is_noticed():
    with pytest.raises(AssertionError, match=r"source\.quarantine was not told of image2"):
        loaders.faults(loaders.TriedLoader(Forgetting))


def test_what_is_right_passes():
    check_loader(lambda _options, context: Plain(context))


def test_no_two_patches_have_the_same_labels():
    """So that a patch is known by them."""
    source = loaders.draw_source()
    labels = {source.patch(0, index).labels.tobytes() for index in range(len(source))}
    assert len(labels) == len(source)
