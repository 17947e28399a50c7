"""What a plugin of each kind implements: Protocols, build contexts and the options base class."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar, Protocol, TypeAlias, runtime_checkable

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

if TYPE_CHECKING:
    from pathlib import Path

    import torch

    from handbone_cli.masks import Box, PackedMask

Polygons: TypeAlias = "dict[int, list[NDArray[np.float32]]]"
"""Class index -> outlines of (n, 2) x, y in pixel indices of the image."""

Labels: TypeAlias = "Polygons | PackedMask"
"""The truth of an image: outlines, or masks where there are no outlines (PNG masks, RLE)."""


class Options(BaseModel):
    """Base of a component's options: typed, documented, unknown keys refused, never changed.

    Attributes:
        grid: post-processors only: option -> the values that `hb ensemble rules` chooses among.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
    grid: ClassVar[Mapping[str, Sequence[Any]]] = {}


class NoOptions(Options):
    """For components that have nothing to set."""


@dataclass(frozen=True)
class Sample:
    """One radiograph and, where there are any, its outlines; nothing is read until asked for.

    Attributes:
        image_id: unique in its dataset, a file's name without suffix.
        person: images of one person never part (folds, cross-fitting).
        read_image: () -> (H, W) uint8 or uint16 grey; must be picklable.
        read_labels: () -> Labels; must be picklable; None for an unlabelled image.
        path: the encoded file, if there is one.
        labels_path: the file that the labels are read from, if there is one.
        key: where there are no files, stands for the image and its labels: equal keys, the same
            pixels and labels; None: they may differ from call to call.
        side: 'left' or 'right' where the source says so.
        spacing: (row, column) millimetres of a pixel where the source says so.
    """

    image_id: str
    person: str
    read_image: Callable[[], NDArray[Any]]
    read_labels: Callable[[], Labels] | None = None
    path: Path | None = None
    labels_path: Path | None = None
    key: str | None = None
    side: str | None = None
    spacing: tuple[float, float] | None = None


class Dataset(Protocol):
    """A source of samples. `build(options, DatasetContext) -> Dataset`."""

    @property
    def class_names(self) -> tuple[str, ...]:
        """The classes in the order of every mask, store and CSV."""

    def samples(self, split: str) -> Sequence[Sample]:
        """The samples of 'train' or 'test', in a fixed order; [] for a split there is none of."""

    def problems(self) -> Sequence[str]:
        """What is wrong with the files, one sentence each (missing labels, unknown classes ...)."""


@runtime_checkable
class PairedDataset(Protocol):
    """A dataset some of whose names change places in a mirror."""

    @property
    def mirror_pairs(self) -> Sequence[tuple[str, str]]:
        """Names that a horizontal flip exchanges, such as ('left_ulna', 'right_ulna')."""


@runtime_checkable
class EndlessDataset(Protocol):
    """A dataset that can draw new samples for ever."""

    @property
    def endless(self) -> bool:
        """Whether training should draw new ones; the fixed ones then only count and validate."""

    def draw(self, number: int) -> Sample:
        """The sample of a number from 0; of people that are in no split."""


@runtime_checkable
class WritableDataset(Protocol):
    """A dataset that can lay its files down in the competition's layout (`hb data generate`)."""

    def write(self, root: Path, report: Callable[[int, int], None]) -> None:
        """Write everything under `root`, skipping what is there; report (done, total)."""


class Loss(Protocol):
    """`build(options, LossContext) -> Loss`, usually a torch.nn.Module."""

    def __call__(self, logits: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """(N, C, h, w) logits and (N, h, w, ceil(C/8)) uint8 packed labels -> a scalar.

        `handbone_cli.unpack_labels` turns the labels into (N, C, h, w).
        """


class Preprocessor(Protocol):
    """A change of the whole image before any warp. `build(options, PreprocessContext)`."""

    def __call__(self, image: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], Box]:
        """(h, w) or (h, w, c) after CLAHE -> what the network is to see of it.

        Gives (h', w') or (h', w', c') and the box (y0, y1, x0, x1) of `image` that it shows, of
        h' x w' pixels: nothing is resampled here. The same image gives the same result.
        """

    def channels(self, given: int) -> int:
        """How many channels it makes of so many."""


@runtime_checkable
class TtaTransform(Protocol):
    """A view of the image whose effect on maps can be taken back. `build(options, context)`.

    The builder gives one, or a sequence of them: a set. A view may say two things of itself, as
    attributes: `mirrored`, whether it makes a left hand a right one, without which it is refused
    where names have sides; and `exact`, whether maps come back to the bit, which is checked.
    """

    def augment(self, images: torch.Tensor) -> torch.Tensor:
        """(N, in_channels, h, w) -> the view, (N, in_channels, h', w')."""

    def restore(self, maps: torch.Tensor, size: tuple[int, int]) -> torch.Tensor:
        """Maps of the view (N, C, h', w') -> maps of the image, (N, C, *size)."""


class PostProcessor(Protocol):
    """A spatial rule on one bone at a time. `build(options, PostContext) -> PostProcessor`.

    A builder may also give a BoneRule or a HandRule, which see more.
    """

    def __call__(self, mask: NDArray[np.bool_], class_name: str) -> NDArray[np.bool_]:
        """(h, w) booleans in the bone's box -> the same shape; other bones are out of reach."""


@dataclass(frozen=True, eq=False)
class Bone:
    """One bone of an image as it is decided so far; nothing is read until asked for.

    Attributes:
        class_name: its name.
        box: y0, y1, x0, x1 in the image, half-open.
        mask: (h, w) booleans in the box, after the rules before this one; not to be written to.
        threshold: above which a probability was bone.
        read_probabilities: () -> (h, w) float32, 0 to 1, the weighted mean of the members.
        read_grey: () -> (h, w) uint8, the radiograph in the box.
    """

    class_name: str
    box: Box
    mask: NDArray[np.bool_]
    threshold: float
    read_probabilities: Callable[[], NDArray[np.float32]]
    read_grey: Callable[[], NDArray[np.uint8]]


@runtime_checkable
class BoneRule(Protocol):
    """A spatial rule that also looks at a bone's probabilities or at the radiograph."""

    def refine(self, bone: Bone) -> NDArray[np.bool_]:
        """A bone -> its mask (h, w) in the same box; other bones are out of reach."""


@dataclass(frozen=True)
class Arrangement:
    """What a HandRule makes of the bones of an image; what is left out stays as it is.

    Attributes:
        masks: name -> its new mask, of the shape it had.
        names: name -> the name that its mask should have; followed where every name in the chain
            is one of the rule's classes. The masks of `masks` are in place before.
    """

    masks: Mapping[str, NDArray[np.bool_]] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)


@runtime_checkable
class HandRule(Protocol):
    """A spatial rule that judges each bone by all of an image."""

    @property
    def exchanges(self) -> bool:
        """Whether it may give one bone's mask to another; `names` of others count for nothing."""

    def arrange(self, bones: Mapping[str, Bone], size: tuple[int, int]) -> Arrangement:
        """The bones that have a box, by name, in an image of (H, W) -> what changes."""


@dataclass(frozen=True)
class Patch:
    """What a loader yields for one sample: normalised pixels and packed labels.

    Attributes:
        image: (in_channels, h, w) float32, normalised.
        labels: (h, w, ceil(C/8)) uint8.
    """

    image: NDArray[np.float32]
    labels: NDArray[np.uint8]


@dataclass(frozen=True)
class PatchForm:
    """What all patches of a run have in common.

    Attributes:
        side: h and w.
        channels: of the image.
        clahe: (clip_limit, tiles) of the CLAHE on the whole image, or None.
        plugins: whether preprocessor plugins touch the pixels.
        reduced: whether blocks may be averaged before the warp.
        distorted: whether elastic or grid distortion is on, so that no matrix says it all.
        blurred: whether there is blur.
        toned: whether gamma, contrast or brightness change.
        noisy: whether there is noise.
    """

    side: int
    channels: int = 1
    clahe: tuple[float, int] | None = None
    plugins: bool = False
    reduced: bool = False
    distorted: bool = False
    blurred: bool = False
    toned: bool = False
    noisy: bool = False


@dataclass(frozen=True)
class RawPatch:
    """All that makes a patch, for a loader that decodes and warps by its own means.

    Attributes:
        image_id: whose patch it is.
        encoded: the bytes of a sound 8-bit grey PNG or of a JPEG.
        labels: (h, w, ceil(C/8)) uint8, warped.
        block: side of the blocks of the decoded image that are averaged first; 1: none.
        reduced: (h, w) after that; the last blocks repeat the image's border.
        matrix: (2, 3) from the patch to the reduced image, continuous, pixel centres at +0.5.
        displacement: (h, w, 2) float32 added in the patch before the matrix, or None.
        blur: SD of a Gaussian in px of the patch, 0 for none.
        blur_window: side of its odd window.
        gamma: exponent of grey / 255; first of the photometrics after the blur ...
        contrast: ... then a factor about 0.5 ...
        brightness: ... then an addend; clipped and rounded to 8 bit.
        noise: (h, w) int16 levels added last and clipped, or None.
        mean: subtracted from grey / 255.
        std: then divided by.
    """

    image_id: str
    encoded: NDArray[np.uint8]
    labels: NDArray[np.uint8]
    block: int
    reduced: tuple[int, int]
    matrix: NDArray[np.float64]
    displacement: NDArray[np.float32] | None
    blur: float
    blur_window: int
    gamma: float
    contrast: float
    brightness: float
    noise: NDArray[np.int16] | None
    mean: float
    std: float


class PatchSource(Protocol):
    """Draws training patches; the same (epoch, index) is the same patch in any process."""

    @property
    def form(self) -> PatchForm:
        """What all its patches have in common."""

    @property
    def faults(self) -> dict[str, str]:
        """Quarantined images and what is wrong with them; another image takes their place."""

    def __len__(self) -> int:
        """Patches in an epoch."""

    def patch(self, epoch: int, index: int) -> Patch:
        """The patch of a place in an epoch."""

    def raw(self, epoch: int, index: int) -> RawPatch:
        """What that patch is made of, but for its pixels."""

    def quarantine(self, image_id: str, fault: str) -> None:
        """Take an image out for the rest of the run."""


class Loader(Protocol):
    """Batches of patches. `build(options, LoaderContext) -> Loader`."""

    def __len__(self) -> int:
        """Batches in an epoch."""

    def epoch(self, number: int, start: int = 0) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
        """Batches `start` to the end of an epoch: (N, 1, h, w) float32, (N, h, w, P) uint8."""


class Tracker(Protocol):
    """Receives the figures of a run. `build(options, TrackerContext) -> Tracker`."""

    def log(self, event: str, values: Mapping[str, Any]) -> None:
        """Record the values of one event ('epoch', 'end'); JSON-able."""

    def close(self) -> None:
        """Finish; called once, also after Ctrl-C, and after a call that failed."""


@runtime_checkable
class PictureTracker(Protocol):
    """A tracker that takes pictures, too."""

    def picture(self, name: str, rgb: NDArray[np.uint8], values: Mapping[str, Any]) -> None:
        """Record a picture, before the figures of its epoch come.

        Args:
            name: the same for the same thing at every epoch, as 'validation/IMAGE_ID'.
            rgb: (h, w, 3) uint8, not to be written to.
            values: `epoch`, `image_id`, `mean_dice`, `dice` by class, and `best`: whether no
                validation so far was better; JSON-able.
        """


@runtime_checkable
class CheckingFactory(Protocol):
    """A tracker's factory that can be asked before there is a run."""

    def check(self, options: Any) -> None:
        """Whether it could be built here; nothing is written.

        Raises:
            HandboneError: what a person has to put right first: a package, an account.
        """


@dataclass(frozen=True)
class ModelContext:
    """What a model's builder is told: C, input channels and (h, w) of a training patch."""

    classes: int
    in_channels: int = 1
    patch: tuple[int, int] = (256, 256)


@dataclass(frozen=True)
class DatasetContext:
    """Where a dataset lives; `root` is None where the recipe names none."""

    root: Path | None


@dataclass(frozen=True)
class LossContext:
    """What a loss's builder is told.

    Attributes:
        class_names: C names.
        build_loss: builds the losses that a combination names.
        overlaps: measures the training labels when called: (C, C) mean share of an image's pixels
            that two classes share. None where there is no data.
    """

    class_names: tuple[str, ...]
    build_loss: Callable[[str, Mapping[str, Any]], Loss]
    overlaps: Callable[[], NDArray[np.float64]] | None = None


@dataclass(frozen=True)
class PreprocessContext:
    """What a preprocessor may need to know."""


@dataclass(frozen=True)
class TtaContext:
    """What a TTA transform may need to know."""

    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class WindowContext:
    """What the builder of a window weight is told: the window's side in pixels."""

    side: int


@dataclass(frozen=True)
class PostContext:
    """What a post-processor may need to know."""

    class_names: tuple[str, ...] = ()


@dataclass(frozen=True)
class LoaderContext:
    """What a loader loads.

    Attributes:
        source: of the patches.
        batch_size: patches in a batch, of all processes together.
        workers: processes or threads beside the main one.
        seed: of the order.
        device: 'cuda' or 'cpu', where the network is.
        note: tells people one line (a quarantined image, a worker that died).
        rank: which of the processes that train the run this is, from 0.
        ranks: how many there are; each gives its `share` of every batch.
    """

    source: PatchSource
    batch_size: int
    workers: int
    seed: int
    device: str = "cpu"
    note: Callable[[str], None] = print
    rank: int = 0
    ranks: int = 1

    def share(self, places: Sequence[int]) -> Sequence[int]:
        """This process's part of the places of a batch, in their order; all in a run of one."""
        own = len(places) // self.ranks
        return places[self.rank * own : (self.rank + 1) * own]


@dataclass(frozen=True)
class TrackerContext:
    """Where a tracker writes and what it calls the run."""

    run_directory: Path
    name: str
    recipe: Mapping[str, Any] = field(default_factory=dict)


LabelLookup: TypeAlias = "Callable[[str], Polygons]"
Names: TypeAlias = "Iterable[str]"
