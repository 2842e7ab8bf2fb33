"""What the server says and hears, as the page's types are made from it."""

from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from fewmasks.server.accounts import LONGEST, LONGEST_NAME, Role
from fewmasks.types import Kind

MOST_SEQUENCE = 2**53 - 1
"""The largest whole number of a browser."""
LONGEST_DAY = 86_400.0
LONGEST_TEXT = 4000

State = Literal["open", "mine", "taken", "labelled", "skipped"]
JobState = Literal["none", "running", "done", "failed", "cancelled"]
Sequence = Annotated[int, Field(ge=1, le=MOST_SEQUENCE)]
Seconds = Annotated[float, Field(ge=0, le=LONGEST_DAY, allow_inf_nan=False)]
Text = Annotated[str, Field(min_length=1, max_length=LONGEST_TEXT)]


class Said(BaseModel):
    """What the server says; all of it is always there."""

    model_config = ConfigDict(frozen=True, json_schema_serialization_defaults_required=True)


class Heard(BaseModel):
    """What the server is told; an unknown key is refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Problem(Said):
    """Why a request was refused, in one sentence."""

    detail: str


class Ready(Said):
    """What the sign-in page has to know."""

    name: str
    users: bool


class SignedIn(Said):
    """Who is signed in, and what to send along with a change."""

    user: str
    role: Role
    csrf: str
    users: bool


class SignIn(Heard):
    """A name and a password."""

    name: Annotated[str, Field(min_length=1, max_length=LONGEST_NAME)]
    password: Annotated[str, Field(min_length=1, max_length=LONGEST)]


class ClassView(Said):
    """A class: its number in masks, its colour, and the key that chooses it."""

    number: int
    name: str
    colour: str
    key: str | None


class ProjectView(Said):
    """What is labelled here."""

    name: str
    created: str | None
    """What tells projects of one name apart; older ones do not know it."""
    classes: list[ClassView]
    background: int | None
    unknown: int
    channels: Literal[1, 3]
    bits: Literal[8, 16]
    is_volume: bool
    summary: dict[str, Any]


class Asked(Said):
    """One item of the round."""

    item: str
    order: int
    reason: str
    audit: bool
    control: bool
    reading: Literal[1, 2]
    state: State
    by: str | None
    minutes: float


class Queue(Said):
    """The round."""

    round: int | None
    strategy: str | None
    items: list[Asked]
    minutes_left: float


class Take(Heard):
    """The item that somebody wants to label."""

    item: str


class Taken(Said):
    """A lease: until when, over which label, and after which drawing."""

    item: str
    until: str
    revision: int
    sequence: int


class Window(Said):
    """Levels of black and white."""

    low: float
    high: float


class ScaleView(Said):
    """Stored intensity = level of the PNG * slope + intercept."""

    slope: float
    intercept: float


class LabelView(Said):
    """The label that holds."""

    kind: Kind
    by: str
    revision: int
    seconds: float


class DraftView(Said):
    """My drawing that was not handed in."""

    sequence: int
    kind: Kind
    seconds: float


class LeaseView(Said):
    """Who is labelling it."""

    by: str
    until: str


class SkipView(Said):
    """That it is never asked for again, and why."""

    reason: str
    flagged: bool
    by: str | None


class ItemView(Said):
    """An item, all but its pixels."""

    item: str
    group: list[str]
    z: int
    height: int
    width: int
    channels: Literal[1, 3]
    bits: Literal[8, 16]
    spacing: tuple[float, float, float]
    window: Window
    scale: ScaleView
    previous: str | None
    next: str | None
    prediction: bool
    uncertainty: bool
    label: LabelView | None
    draft: DraftView | None
    sequence: int
    lease: LeaseView | None
    skipped: SkipView | None
    reason: str | None
    split: Literal["train", "test"]
    audit: bool
    may_label: bool
    reading: Literal[1, 2]
    """2 where a second answer is wanted of this person, who sees nothing of the first."""


class Saved(Said):
    """The drawing that is on disk."""

    sequence: int


class Answer(Heard):
    """That the drawing of this sequence is the label, seen `base` before."""

    kind: Kind
    seconds: Seconds
    sequence: Sequence
    base: Annotated[int, Field(ge=0, le=MOST_SEQUENCE)] | None = None


class Stored(Said):
    """The number of the new label, and the next item of the queue."""

    revision: int
    next: str | None


class Skip(Heard):
    """Why an item is never to be asked for again."""

    reason: Annotated[str, Field(max_length=LONGEST_TEXT)] = ""
    flag: bool = False


class Next(Said):
    """The next item of the queue."""

    next: str | None


class Comment(Heard):
    """A remark on an item."""

    text: Text


class CommentView(Said):
    """A remark on an item, by whom and when."""

    by: str
    text: str
    created: str


class StartJob(Heard):
    """How to ask again, after training."""

    strategy: Annotated[str, Field(pattern=r"^[\w-]{1,64}$")] | None = None
    limit: Annotated[int, Field(ge=1, le=10_000)] | None = None


class Started(Said):
    """The number of a job."""

    id: int


class JobView(Said):
    """How far the job is, and its last lines."""

    id: int | None = None
    state: JobState = "none"
    what: str | None = None
    done: int | None = None
    of: int | None = None
    line: str | None = None
    lines: list[str] = []
    by: str | None = None
    started: str | None = None
    ended: str | None = None


class Point(Said):
    """One model: what it learnt from, what that cost, how good it is."""

    items: int
    minutes: float
    dice: float | None
    interval: tuple[float, float] | None
    """Of `dice`, 95 %, over test groups drawn anew; none of few groups."""
    hd95: float | None
    per_class: dict[str, float | None]


class StopAdvice(Said):
    """What more labelling is expected to bring; it stops nothing."""

    sentence: str
    is_enough: bool
    gain: float | None
    low: float | None
    high: float | None
    minutes: float | None


class Counts(Said):
    """How many labels there are of each kind."""

    mask: int
    scribble: int


class Spread(Said):
    """A mean and its 95 % interval; none of a single value."""

    mean: float | None
    low: float | None
    high: float | None


class Foreseen(Spread):
    """Dice of a model on picks before it learnt them."""

    items: int


class Control(Said):
    """The strategy's picks against random ones, in numbers and in words."""

    strategy: Foreseen
    control: Foreseen
    difference: Spread | None
    """Of what pairs of models learnt from the two; none where nobody asked for pairs."""
    said: list[str]


class ReadingView(Said):
    """One of two readings."""

    by: str
    kind: Kind
    seconds: float


class Dispute(Said):
    """An item that two people read differently."""

    item: str
    readings: list[ReadingView]
    lowest: float
    per_class: dict[str, float | None]


class Verdict(Heard):
    """Which of two readings holds."""

    reading: Literal[1, 2]


class Agreement(Said):
    """How far two people agree on the items that both read: Dice over the pixels both know."""

    items: int
    waiting: int
    disputes: int
    per_class: dict[str, float | None]


class Dashboard(Said):
    """The honest curve, and what to do next."""

    labels: Counts
    minutes: float
    curve: list[Point]
    control: Control | None
    agreement: Agreement | None
    next: str
    stop: StopAdvice | None
