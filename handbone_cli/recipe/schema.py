"""The schema of a recipe: sections, keys, defaults and bounds; frozen, unknown keys refused."""

from __future__ import annotations

from pathlib import Path  # noqa: TC003  pydantic reads annotations at run time
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationInfo,
    field_validator,
    model_validator,
)

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


class Optimizer(Section):
    """The optimizer."""

    name: Literal["adamw"] = "adamw"
    lr: float = Field(8e-5, gt=0)
    weight_decay: float = Field(0.01, ge=0)


class Scheduler(Section):
    """The learning rate over a run: linear warmup, then the named curve."""

    name: Literal["cosine", "none"] = "cosine"
    warmup_epochs: float = Field(0.0, ge=0, description="from lr / 100; parts of an epoch count")


class Train(Section):
    """How long and how."""

    epochs: Positive = 100
    batch_size: Positive = 2
    patches_per_image: Positive = Field(1, description="patches drawn of an image in an epoch")
    precision: Literal["fp32", "bf16", "fp16", "auto"] = "auto"
    clip_norm: float = Field(0.0, ge=0, description="largest gradient norm; 0: no clipping")
    early_stopping: int = Field(5, ge=0, description="validations without gain; 0: never stop")
    val_every: Positive = Field(1, description="epochs between validations")
    channels_last: bool = False


class Predict(Section):
    """From a checkpoint to probabilities."""

    sliding: bool = Field(default=True, description="windows; false: the whole image at once")
    window: int = Field(1024, ge=32, description="side of a window, px")
    stride: int = Field(512, ge=1, description="step between windows, px")
    gaussian: bool = Field(
        default=True, description="windows weighted by a Gaussian; false: uniform"
    )
    sigma: float = Field(0.3, gt=0, description="of that Gaussian, in windows")
    batch_size: Positive = Field(2, description="windows at a time")

    @model_validator(mode="after")
    def _windows_leave_no_gap(self) -> Predict:
        if self.stride > self.window:
            raise ValueError(f"stride {self.stride} leaves gaps between windows of {self.window}")
        return self


class Tracking(Section):
    """Who hears of a run's figures."""

    trackers: tuple[str, ...] = ("jsonl",)


class Recipe(Section):
    """Everything about a run."""

    name: str = Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$", description="names the run")
    seed: int = Field(21, ge=0)
    data: Data = Data()
    augment: Augment = Augment()
    model: ComponentSection
    loss: ComponentSection
    optimizer: Optimizer = Optimizer()
    scheduler: Scheduler = Scheduler()
    train: Train = Train()
    predict: Predict = Predict()
    preprocess: tuple[ComponentSection, ...] = ()
    tta: tuple[ComponentSection, ...] = ()
    postprocess: tuple[ComponentSection, ...] = ()
    tracking: Tracking = Tracking()
