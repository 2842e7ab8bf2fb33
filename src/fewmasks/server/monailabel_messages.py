"""What MONAI Label's clients are told, in the words of their own server."""

from typing import Any, Literal

from pydantic import ConfigDict, Field

from fewmasks.server.messages import Said


class AuthInfo(Said):
    """Whether people sign in."""

    enabled: bool


class Token(Said):
    """What a client sends along with every request."""

    access_token: str
    token_type: Literal["bearer"] = "bearer"


class Model(Said):
    """A model that predicts."""

    type: Literal["segmentation"] = "segmentation"
    labels: dict[str, int]
    dimension: Literal[2, 3]
    description: str
    config: dict[str, Any] = Field(default_factory=dict)


class Described(Said):
    """A trainer or a strategy."""

    description: str
    config: dict[str, Any] = Field(default_factory=dict)


class Store(Said):
    """How many images there are, and how many have a label."""

    total: int
    completed: int
    label_tags: dict[str, int]


class Info(Said):
    """What can be done here."""

    name: str
    description: str
    version: str
    labels: list[str]
    models: dict[str, Model]
    trainers: dict[str, Described]
    strategies: dict[str, Described]
    scoring: dict[str, Described] = Field(default_factory=dict)
    train_stats: dict[str, dict[str, float]]
    datastore: Store


class Sample(Said):
    """The image to label next; empty where nothing is left."""

    model_config = ConfigDict(json_schema_serialization_defaults_required=False)

    id: str | None = None
    name: str | None = None
    path: str | None = None
    """Where a client on this computer finds it."""
    weight: float | None = None
    items: list[str] | None = None
    slices: list[int] | None = None
    """Which slices are asked for, counted from 0 along the file's own axis."""
    reason: str | None = None


class Extent(Said):
    """A file of the store."""

    ext: str
    info: dict[str, Any] = Field(default_factory=dict)


class StoredImage(Said):
    """An image and its labels."""

    image: Extent
    labels: dict[str, Extent]


class Listing(Said):
    """Every image by its name."""

    name: str
    description: str
    objects: dict[str, StoredImage]


class LabelTaken(Said):
    """What became of a label."""

    image: str
    label: str
    stored: list[str]
    """Items that got a label."""
    left: dict[str, str]
    """Items that stay as they are, and why."""


class Task(Said):
    """A training."""

    id: str
    status: Literal["RUNNING", "DONE", "ERROR", "CANCELED"]
    model: str
    start_ts: str | None
    details: list[str]
