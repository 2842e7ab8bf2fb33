"""Settings of a project: frozen pydantic models; `project.toml` keeps only what differs."""

import difflib
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from fewmasks.errors import ConfigError

Network = Literal["unet", "resnet18", "resnet34", "resnet50"]
Precision = Literal["auto", "fp32", "bf16"]
Method = Literal["byol", "group", "cluster", "dense"]
"""Of self-supervision."""
METHODS: tuple[Method, ...] = get_args(Method)
RelationName = Literal["neighbour", "volume", "group4", "group3", "group2", "patient"]
"""The next slice, the same file, the same first four ... two group keys, the same first one."""
MapMethod = Literal["pca", "tsne"]
SCRATCH, IMAGENET = "scratch", "imagenet"
STARTS = (SCRATCH, *METHODS, IMAGENET)
"""Names of where a training may start; a file of weights is one too."""


Model = TypeVar("Model", bound=BaseModel)


class Section(BaseModel):
    """One table of the settings file."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class LearnConfig(Section):
    """How a model is trained and run."""

    network: Network = "unet"
    size: int = Field(128, ge=16, le=4096)
    """Longest side of an item as the network sees it, in pixels; smaller items are padded."""
    normalise: Literal["auto", "source", "pool"] = "auto"
    """Intensities per source (volumes) or over the pool (pictures); auto chooses by format."""
    batch: int = Field(12, ge=1)
    balance: float = Field(1 / 3, ge=0, le=1)
    """Share of a batch drawn from items that hold a class drawn at random, so rare ones count."""
    learning_rate: float = Field(4e-3, gt=0)
    weight_decay: float = Field(1e-4, ge=0)
    iterations: int | None = Field(None, ge=1)
    """Fixed number of training steps; by default it follows the number of labels."""
    iterations_per_label: float = Field(8.0, gt=0)
    iterations_floor: int = Field(600, ge=1)
    iterations_ceiling: int = Field(6000, ge=1)
    flips: Literal["none", "x", "xy"] = "x"
    rotate_degrees: float = Field(15.0, ge=0)
    scale: float = Field(0.15, ge=0, lt=1)
    contrast: float = Field(0.25, ge=0)
    noise: float = Field(0.05, ge=0)
    recipe: Literal["partial", "dmpls"] = "partial"
    """What is learnt from: known pixels alone, or also what two decoders agree on (DMPLS)."""
    random_walk: float = Field(0.0, ge=0, lt=1)
    """Weight of what a random walker fills in around scribbles; 0 is off, as for all weights
    (docs/decisions/0017)."""
    gated_crf: float = Field(0.02, ge=0)
    """Weight of a penalty on classes that change where colour does not, where labels leave pixels
    unknown (docs/decisions/0019); where they leave none there is nothing to it."""
    interpolate: float = Field(0.0, ge=0, lt=1)
    """Weight of slices guessed between two labelled ones."""
    interpolate_gap: int = Field(4, ge=2)
    """Labelled slices farther apart than this have nothing guessed between them."""
    watershed: float = Field(0.0, ge=0, lt=1)
    """Weight of watershed masks of unlabelled items; of one class before a background."""
    composite: float = Field(0.0, ge=0, lt=1)
    """Weight of labelled objects set before background texture."""
    fixmatch: float = Field(0.0, ge=0)
    """Weight of what the model is sure of on unlabelled items; the usual one is 1."""
    fixmatch_threshold: float = Field(0.95, gt=0, lt=1)
    """Probability from which a pixel counts as sure."""
    members: int = Field(3, ge=1)
    """Size of the ensemble that judges uncertainty."""
    ensemble: Literal["snapshots", "bootstrap", "dropout"] = "snapshots"
    embedding_layer: str = "deepest"
    """What the model's own embedding is the mean of: the `deepest` maps of the encoder, the `last`
    ones before the classes, or those of a module by its name, such as down_2."""
    precision: Precision = "auto"
    device: str = "auto"
    """auto, cpu or cuda; with `devices` above 1, DistributedDataParallel."""
    devices: int = Field(1, ge=1)


def beyond_labels(learn: LearnConfig) -> dict[str, str | float]:
    """What training learns from apart from labels: the settings that are on, and their values.

    The gated CRF says no class of any pixel, and is none of them.
    """
    names = ("random_walk", "interpolate", "watershed", "composite", "fixmatch")
    on = {name: value for name in names if (value := getattr(learn, name))}
    return on if learn.recipe == "partial" else {"recipe": learn.recipe, **on}


class PretrainConfig(Section):
    """How a network learns from items without labels."""

    method: Method = "dense"
    iterations: int = Field(500, ge=1)
    """Training steps, where `epochs` says nothing."""
    epochs: int | None = Field(None, ge=1)
    """How often every item is seen."""
    batch: int = Field(48, ge=2)
    accumulate: int = Field(1, ge=1)
    """Batches whose gradients make one step."""
    optimiser: Literal["adamw", "lars"] = "adamw"
    learning_rate: float = Field(1e-3, gt=0)
    """Peak of a cosine; for LARS the authors take 0.2 times batch / 256 (Grill et al. 2020)."""
    weight_decay: float = Field(1e-4, ge=0)
    views: Literal["auto", "grey", "colour", "histology", "overhead"] = "auto"
    """What may change between two views of an item; auto takes grey or colour by the channels."""
    strength: float | None = Field(None, gt=0, le=1)
    """How far two views differ in place and colour, of what is allowed; by default 0.25 for group
    contrast, whose group mates differ by themselves, and else 1."""
    hidden: int = Field(512, ge=2)
    """Width of the heads' hidden layer."""
    projection: int = Field(128, ge=2)
    """Width of what the heads put out."""
    momentum: float = Field(0.99, ge=0, lt=1)
    """Of BYOL's target network at the start; it rises to 1."""
    temperature: float = Field(0.5, gt=0)
    """Of the contrastive losses."""
    clusters: int | None = Field(None, ge=2)
    """Of the clustering pretext; by default sqrt(n / 2) for n items, 2 to 64."""
    relations: dict[RelationName, Annotated[float, Field(ge=0)]] = {"volume": 0.35, "patient": 0.05}
    """Which items group contrast pulls together, and the weight of each beside NT-Xent's 1; the
    whole table is replaced by the one given, and {} is NT-Xent alone."""
    spare_mates: bool = True
    """Whether NT-Xent leaves group mates out of the negatives, and so does not push them apart; it
    does push as published."""


class QueryConfig(Section):
    """How the next items are chosen."""

    strategy: str = "clasp-pe"
    uncertainty: str = "entropy"
    """The score that strategies get under the name `uncertainty`."""
    embedding: str = "model"
    """What strategies get under the name `embedding`: `model` (the one trained last), `thumbnail`
    (the picture itself), a start (byol, group, cluster, dense, imagenet), a start file, the folder
    of a DINOv2 or DINOv3 checkpoint, or `hub:OWNER/NAME` to fetch one."""
    group_cap: int | None = Field(None, ge=1)
    """At most so many of the strategy's picks of one group in a round."""
    map: MapMethod = "pca"
    """How a report lays the embedding on a plane; tsne needs the extra `viz`."""
    control: float = Field(0.0, ge=0, le=1)
    """Share of every round that is drawn at random, to compare the strategy's picks with."""
    compare: int = Field(0, ge=0)
    """So many pairs of models that `train` also trains, one on each arm, to compare the two."""
    double_reading: float = Field(0.0, ge=0, le=1)
    """Share of the training items asked for that a second person labels, too, without seeing the
    first label."""
    dispute_below: float = Field(0.7, ge=0, le=1)
    """Two readings are in dispute where the Dice of some foreground class is below this."""


class CostConfig(Section):
    """Seconds of annotation time: all that simulation knows, and what is expected of people of
    whom little was measured."""

    seconds_per_mask: float = Field(60.0, gt=0)
    """Whatever the mask holds; the two below come on top."""
    scribble_speedup: float = Field(15.0, gt=0)
    """A scribble is so many times faster than a mask (Valvano et al. 2021, as cited by Vepa et al.
    2024)."""
    seconds_per_region: float | None = Field(None, gt=0)
    """Instead of seconds_per_mask, where large pictures were cut into regions."""
    seconds_per_border: float = Field(0.0, ge=0)
    """For each pixel along the borders of what is drawn."""
    seconds_per_part: float = Field(0.0, ge=0)
    """For each connected part of what is drawn."""
    seconds_per_skip: float = Field(3.0, ge=0)
    """To look at an item and pass it over."""
    scribble_worth: float | None = Field(None, gt=0, le=1)
    """What a scribble is thought to gain, as a share of what the mask of the same item would. Where
    it is given, of each item that kind is asked for which gains more a minute."""


class StopConfig(Section):
    """When stopping is worth a thought; nothing ever stops by itself."""

    minutes: float = Field(30.0, gt=0)
    """Labelling time whose gain is forecast."""
    gain: float = Field(0.01, ge=0)
    """Dice that this time must bring to be worth it."""
    sample: int = Field(64, ge=1)
    """Unlabelled training items on which a model is compared with the one before."""


class Config(Section):
    """All settings of a project."""

    learn: LearnConfig = LearnConfig()
    pretrain: PretrainConfig = PretrainConfig()
    query: QueryConfig = QueryConfig()
    cost: CostConfig = CostConfig()
    stop: StopConfig = StopConfig()

    def flat(self) -> dict[str, Any]:
        """Every setting under its dotted name."""
        return {
            f"{section}.{key}": value
            for section, of in self.model_dump().items()
            for key, value in of.items()
        }

    def with_settings(self, settings: list[str], where: str = "--set") -> "Config":
        """This configuration with `section.key=value` settings applied, which stand at `where`."""
        tree = self.model_dump()
        for setting in settings:
            dotted, equals, value = setting.partition("=")
            section, dot, key = dotted.strip().partition(".")
            if not equals or not dot:
                raise ConfigError(
                    f"{where} {setting}: not of the form section.key=value; such as learn.size=256"
                )
            tree.setdefault(section, {})[key] = _value(value.strip())
        return parse_config(tree, where=where)


def _value(text: str) -> Any:
    if text == "none":  # TOML has no word for it, where a file simply leaves the key out
        return None
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


def setting_text(value: Any) -> str:
    """A value as `--set` takes it."""
    if value is None:
        return "none"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}={setting_text(of)}" for key, of in value.items()) + "}"
    return '"none"' if value == "none" else str(value)


def parse_config(tree: dict[str, Any], where: str) -> Config:
    """Validate settings; an unknown key names its nearest relative."""
    return validated(Config, tree, where)


def validated(model: type[Model], tree: dict[str, Any], where: str) -> Model:
    """What a tree of settings says; an unknown key names its nearest relative."""
    try:
        return model.model_validate(tree)
    except ValidationError as error:
        raise ConfigError(f"{where}: {_sentence(error, model)}") from None


def read_config(path: Path) -> Config:
    """Settings of a TOML file; a missing file is all defaults."""
    return parse_config(read_toml(path), where=str(path)) if path.exists() else Config()


def read_toml(path: Path) -> dict[str, Any]:
    """The tree of a TOML file that exists."""
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: not TOML ({error}); correct that line") from None


def _sentence(error: ValidationError, model: type[BaseModel]) -> str:
    first = error.errors()[0]
    dotted = ".".join(str(part) for part in first["loc"])
    if first["type"] != "extra_forbidden":
        return f"{dotted}: {first['msg']} ({first['input']!r}); correct the value"
    for part in first["loc"][:-1]:
        if isinstance(part, str):  # a number is a place in a list of sections
            model = _section_of(model.model_fields[part].annotation)
    near = difflib.get_close_matches(str(first["loc"][-1]), model.model_fields, n=1, cutoff=0.5)
    hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(model.model_fields)}"
    return f"{dotted}: there is no such setting; {hint}"


def _section_of(annotation: Any) -> type[BaseModel]:
    """The model in `Section` or `tuple[Section, ...]`."""
    return get_args(annotation)[0] if get_args(annotation) else annotation
