"""The schema of a recipe: sections, keys, defaults and bounds; frozen, unknown keys refused."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic reads annotations at run time
from typing import TYPE_CHECKING, Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationInfo,
    field_validator,
    model_validator,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

Share = Annotated[float, Field(ge=0, le=1)]
Positive = Annotated[int, Field(ge=1)]


class Section(BaseModel):
    """A table of a recipe."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ComponentSection(BaseModel):
    """A plugin by name; its own options sit beside the name and are checked by the plugin."""

    model_config = ConfigDict(extra="allow", frozen=True)

    name: str = Field(description="the plugin's name")

    @property
    def options(self) -> dict[str, Any]:
        """The keys beside `name`."""
        return dict(self.model_extra or {})


class PostprocessSection(ComponentSection):
    """A post-processor, and the bones that it is for."""

    classes: tuple[str, ...] | None = Field(
        None, min_length=1, description="the bones that it is for; none: all"
    )


class ModelSection(ComponentSection):
    """The model plugin, and the weights it starts from in training, whatever plugin it is."""

    weights: Path | None = Field(
        None,
        description="safetensors file, run (relative to the recipe's folder) or name to start from",
    )
    partial: bool | None = Field(
        None, description="take over what matches of weights; none: everything must match"
    )

    @model_validator(mode="after")
    def _partial_of_something(self) -> ModelSection:
        if self.partial and self.weights is None:
            raise ValueError("partial = true says how weights are taken over, and there are none")
        return self


MODEL_KEYS = frozenset(ModelSection.model_fields) - {"name"}
POSTPROCESS_KEYS = frozenset(PostprocessSection.model_fields) - {"name"}
"""Keys of [model] that are the recipe's own, never the plugin's."""


class Clahe(Section):
    """Contrast-limited adaptive histogram equalisation on the whole image (Zuiderveld, 1994)."""

    clip_limit: float = Field(2.0, gt=0, description="cv2's clip limit; 4.0 lost .0064 Dice")
    tiles: Positive = Field(8, description="tiles along each side")


class Data(BaseModel):
    """Where the radiographs are and how they become patches; the dataset's options sit beside."""

    model_config = ConfigDict(extra="allow", frozen=True)

    dataset: str = Field("competition", description="dataset plugin")
    root: Path | None = Field(None, description="the data's folder, relative to the recipe's")
    loader: str = Field("auto", description="loader plugin; auto: dali where it can, else torch")
    workers: int = Field(-1, ge=-1, description="worker processes; -1: none on a CPU, up to 8 else")
    folds: int = Field(5, ge=2, description="groups of people for cross-validation")
    fold: int = Field(0, ge=0, description="the group left out, from 0")
    folds_file: Path | None = Field(
        None, description="a split by hb data folds, relative to the recipe's folder; none: dealt"
    )
    exclude: tuple[str, ...] = Field((), description="image ids to leave out")
    clahe: Clahe | Literal[False] = Field(Clahe(), description="a table, or false")
    normalize: Literal["imagenet", "zscore", "percentile"] = "imagenet"
    resize: int | None = Field(None, ge=32, description="longer side of the image, px; none: as is")
    patch: int = Field(1024, ge=32, description="side of a training patch, px")
    cache: bool | Path = Field(
        default=True, description="folder for prepared images, relative to the recipe's; or false"
    )
    cache_mb: int = Field(1024, ge=0, description="RAM for images the cache does not hold")

    @field_validator("fold")
    @classmethod
    def _fold_in_range(cls, fold: int, info: ValidationInfo) -> int:
        folds = info.data.get("folds")
        if folds is not None and fold >= folds:
            raise ValueError(f"expected 0 to {folds - 1}")
        return fold

    @property
    def dataset_options(self) -> dict[str, Any]:
        """The keys that belong to the dataset plugin."""
        return dict(self.model_extra or {})


class Augment(Section):
    """Random changes of a training patch; 0 switches one off."""

    shift: Share = Field(0.0, description="most shift, in image sides")
    scale: float = Field(0.0, ge=0, lt=1, description="most change of scale, as a share")
    rotate: float = Field(0.0, ge=0, le=180, description="most rotation, degrees")
    hflip: Share = Field(0.0, description="chance of a horizontal flip")
    elastic: float = Field(0.0, ge=0, description="elastic displacement (Simard, 2003), SD in px")
    grid_distortion: float = Field(0.0, ge=0, lt=0.5, description="most shift of a 5 x 5 grid node")
    brightness: Share = Field(0.0, description="most change, in the full grey range")
    contrast: float = Field(0.0, ge=0, lt=1, description="most change, as a share")
    gamma: float = Field(0.0, ge=0, lt=1, description="most change of the exponent, as a share")
    random_resized_crop: Share = Field(
        0.0, description="least share of the image's area that is cropped and brought to the patch"
    )
    blur: float = Field(0.0, ge=0, le=16, description="most Gaussian blur, SD in px")
    noise: Share = Field(0.0, description="most Gaussian noise, SD in the full grey range")


OPTIMIZER_KEYS = ("momentum", "nesterov", "betas", "eps")
"""Keys of [optimizer] that some optimizers take and others do not."""
ADAMS = {"betas": (0.9, 0.999), "eps": 1e-8}
OPTIMIZERS: dict[str, dict[str, Any]] = {
    "adamw": ADAMS,
    "adam": ADAMS,
    "sgd": {"momentum": 0.9, "nesterov": True},
}
"""Those of OPTIMIZER_KEYS that torch's optimizers take, with defaults; timm's know their own."""


class Optimizer(Section):
    """The optimizer, by name; torch's here, timm's checked before the first batch."""

    name: str = Field(
        "adamw",
        min_length=1,
        description="adamw, adam, sgd, or one of timm.optim.list_optimizers(): lion, adamp, ...",
    )
    lr: float = Field(8e-5, gt=0, description="learning rate, after the warmup")
    weight_decay: float = Field(
        0.01, ge=0, description="apart from the gradient in adamw, a part of it in adam and sgd"
    )
    decay_all: bool = Field(
        default=True, description="weights, biases and norms decay; false: weights alone"
    )
    momentum: float | None = Field(None, ge=0, lt=1, description="sgd: 0.9; and of timm's")
    nesterov: bool | None = Field(
        None, description="momentum as Nesterov has it; sgd: true; and of timm's"
    )
    betas: tuple[Annotated[float, Field(ge=0, lt=1)], ...] | None = Field(
        None, description="decay of the running means; adamw, adam: [0.9, 0.999]; and of timm's"
    )
    eps: float | None = Field(None, gt=0, description="adamw, adam: 1e-8; and of timm's")
    options: dict[str, Any] | None = Field(
        None, description="further arguments that the optimizer takes, as { caution = true }"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_named(cls, table: Any) -> Any:
        return _with_own_defaults(table, OPTIMIZERS, "adamw")

    @model_validator(mode="after")
    def _keys_of_the_named(self) -> Optimizer:
        if self.name in OPTIMIZERS:
            _refuse_keys_of_others(self, OPTIMIZER_KEYS, OPTIMIZERS[self.name])
            if self.betas is not None and len(self.betas) != 2:
                raise ValueError(f"{self.name} takes two betas, not {len(self.betas)}")
        if self.name == "sgd" and self.nesterov and not self.momentum:
            raise ValueError("nesterov = true needs a momentum above 0")
        for key in (self.options or {}).keys() & type(self).model_fields.keys():
            raise ValueError(f"{key} is a key of its own; move it out of options")
        return self


SCHEDULERS: dict[str, dict[str, Any]] = {
    "cosine": {"min_lr": 0.0},
    "step": {"step_epochs": None, "factor": 0.1},
    "plateau": {"factor": 0.1, "patience": 2},
    "poly": {"power": 0.9},
    "one_cycle": {"pct_start": 0.3, "div_factor": 25.0, "final_div_factor": 1e4},
    "none": {},
}
"""The keys that a scheduler takes beside warmup_epochs, with their defaults."""
SCHEDULER_KEYS = tuple(dict.fromkeys(key for keys in SCHEDULERS.values() for key in keys))


class Scheduler(Section):
    """The learning rate over a run: linear warmup, then the named curve."""

    name: Literal["cosine", "step", "plateau", "poly", "one_cycle", "none"] = Field(
        "cosine", description="the curve after the warmup; each takes only its own keys below"
    )
    warmup_epochs: float = Field(0.0, ge=0, description="from lr / 100; parts of an epoch count")
    min_lr: float | None = Field(None, ge=0, description="cosine: where it ends; 0")
    step_epochs: Positive | None = Field(
        None, description="step: epochs of one rate after the warmup; none: a third of the run"
    )
    factor: float | None = Field(
        None, gt=0, lt=1, description="step, plateau: what the rate is multiplied by; 0.1"
    )
    patience: int | None = Field(
        None, ge=0, description="plateau: validations without gain in Dice that it bears; 2"
    )
    power: float | None = Field(None, gt=0, description="poly: of the share of the run left; 0.9")
    pct_start: float | None = Field(
        None, gt=0, lt=1, description="one_cycle: share of the run on the way up to lr; 0.3"
    )
    div_factor: float | None = Field(None, ge=1, description="one_cycle: begins at lr / this; 25")
    final_div_factor: float | None = Field(
        None, ge=1, description="one_cycle: ends at its beginning / this; 10000"
    )

    @model_validator(mode="before")
    @classmethod
    def _defaults_of_the_named(cls, table: Any) -> Any:
        return _with_own_defaults(table, SCHEDULERS, "cosine")

    @model_validator(mode="after")
    def _keys_of_the_named(self) -> Scheduler:
        _refuse_keys_of_others(self, SCHEDULER_KEYS, SCHEDULERS[self.name])
        return self


def _with_own_defaults(table: Any, kinds: dict[str, dict[str, Any]], usual: str) -> Any:
    """A section's table with the defaults of what it names, so that a run's recipe records them."""
    if not isinstance(table, dict):
        return table
    said = {key: value for key, value in table.items() if value is not None}
    own = kinds.get(str(said.get("name", usual)), {})
    return {**{key: value for key, value in own.items() if value is not None}, **said}


def _refuse_keys_of_others(section: Any, keys: Iterable[str], own: dict[str, Any]) -> None:
    """One sentence for a key that what a section names does not take."""
    for key in keys:
        if getattr(section, key) is not None and key not in own:
            takes = f"its own keys are {', '.join(own)}" if own else "it has no keys of its own"
            raise ValueError(f"{section.name} takes no {key}; {takes}")


class Train(Section):
    """How long and how."""

    on: Literal["train", "all"] = Field(
        "train", description="people: train, all but the fold's; all, so that nobody validates"
    )
    epochs: Positive = 100
    batch_size: Positive = 2
    patches_per_image: Positive = Field(1, description="patches drawn of an image in an epoch")
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "auto"
    accumulate: Positive = Field(1, description="batches whose gradients make one step")
    clip_norm: float = Field(0.0, ge=0, description="largest gradient norm; 0: no clipping")
    ema: float = Field(
        0.0, ge=0, lt=1, description="decay of the weights' moving average, used instead; 0: off"
    )
    early_stopping: int = Field(5, ge=0, description="validations without gain; 0: never stop")
    min_delta: float = Field(
        0.0, ge=0, lt=1, description="Dice to exceed the last such gain by, to be a gain there"
    )
    val_every: Positive = Field(1, description="epochs between validations")
    save_minutes: float = Field(
        10.0, ge=0, description="between resumable states within an epoch; 0: at its end alone"
    )
    keep: int = Field(1, ge=1, le=99, description="resumable states kept, the newest and before")
    sync_batchnorm: bool = Field(
        default=False, description="on several devices: normalise over the whole batch, not a share"
    )
    shard: bool = Field(
        default=False, description="on several devices: each keeps a part of every weight (FSDP)"
    )
    channels_last: bool = Field(default=False, description="memory format; faster on many GPUs")
    compile: bool = Field(default=False, description="torch.compile; the first step takes minutes")
    recompute: bool = Field(
        default=False, description="keep fewer activations and compute them twice; less memory"
    )


class Predict(Section):
    """From a checkpoint to probabilities."""

    sliding: bool = Field(default=True, description="windows; false: the whole image at once")
    window: int = Field(1024, ge=32, description="side of a window, px")
    stride: int = Field(512, ge=1, description="step between windows, px")
    gaussian: bool = Field(
        default=True, description="windows weighted by a Gaussian; false: uniform"
    )
    sigma: float = Field(0.3, gt=0, description="of that Gaussian, in windows")
    weight: ComponentSection | None = Field(
        None, description="a window weight by its plugin, in place of both"
    )
    average: Literal["probabilities", "logits"] = Field(
        "probabilities", description="what windows and views are averaged as"
    )
    batch_size: int = Field(
        0, ge=0, description="windows at a time; 0: as many as fit a GPU, one on a CPU"
    )

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> Predict:
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} leaves gaps between windows of {self.window}")
        return self


RECORD = "jsonl"
"""The tracker that every run has: `hb runs` reads its file."""
TRACKER_BRANCHES = NAME, TABLE = "tracker's name", "tracker's table"
"""What pydantic calls the two forms of an entry of tracking.trackers where it is wrong."""

TrackerEntry = Annotated[
    Annotated[str, Tag(NAME)] | Annotated[ComponentSection, Tag(TABLE)],
    Discriminator(lambda entry: NAME if isinstance(entry, str) else TABLE),
]


class Tracking(Section):
    """Who hears of a run's figures."""

    trackers: tuple[TrackerEntry, ...] = Field(
        (RECORD,), description="names, or tables of a name and options; jsonl is there in any case"
    )
    pictures: int = Field(
        2, ge=0, description="images drawn at every validation, always the same; 0: none"
    )

    @model_validator(mode="after")
    def _each_once(self) -> Tracking:
        names = [section.name for section in self.sections]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"'{name}' is there {names.count(name)} times; once is enough")
        return self

    @property
    def sections(self) -> tuple[ComponentSection, ...]:
        """Every tracker of a run with its options; jsonl comes first where it is not said."""
        said = [ComponentSection(name=e) if isinstance(e, str) else e for e in self.trackers]
        known = any(section.name == RECORD for section in said)
        return tuple(said if known else [ComponentSection(name=RECORD), *said])


class Recipe(Section):
    """Everything about a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the run")
    seed: int = Field(21, ge=0)
    data: Data = Data()
    augment: Augment = Augment()
    model: ModelSection
    loss: ComponentSection
    optimizer: Optimizer = Optimizer()
    scheduler: Scheduler = Scheduler()
    train: Train = Train()
    predict: Predict = Predict()
    preprocess: tuple[ComponentSection, ...] = ()
    tta: tuple[ComponentSection, ...] = ()
    postprocess: tuple[PostprocessSection, ...] = ()
    tracking: Tracking = Tracking()

    @model_validator(mode="after")
    def _what_shards_allow(self) -> Recipe:
        if self.train.shard:
            if self.train.ema:
                raise ValueError("train.shard = true keeps no average; leave train.ema at 0")
            if self.train.compile:
                raise ValueError("train.shard = true is not compiled; leave train.compile false")
            if self.train.precision == "fp16":
                raise ValueError("train.shard = true wants train.precision bf16 or fp32")
            if self.optimizer.name not in OPTIMIZERS:
                raise ValueError(
                    f"train.shard = true wants optimizer.name {' or '.join(OPTIMIZERS)}"
                )
        return self
