"""The description of all requests (OpenAPI): a summary of each, an example of each message."""

from collections.abc import Callable
from functools import cache
from typing import Any

from fastapi import FastAPI
from pydantic import BaseModel

from fewmasks.server import label_studio as studio
from fewmasks.server import messages as m
from fewmasks.server import monailabel_messages as monai

UNTIL = "2026-01-31T09:10:00.000Z"
NEXT = "patient003_ED_z04"
CELL = m.ClassView(number=1, name="heart", colour="#e6194b", key="1")
STOP = m.StopAdvice(
    sentence="the next 30 minutes are expected to bring +0.012 Dice (95 % +0.002 to +0.034)",
    is_enough=False, gain=0.012, low=0.002, high=0.034, minutes=30.0,
)  # fmt: skip
POINT = m.Point(
    items=20, minutes=31.5, dice=0.812, interval=(0.771, 0.843), hd95=6.4,
    per_class={"heart": 0.812},
)  # fmt: skip
CONTROL = m.Control(
    strategy=m.Foreseen(items=16, mean=0.61, low=0.55, high=0.67),
    control=m.Foreseen(items=4, mean=0.78, low=0.64, high=0.92),
    difference=m.Spread(mean=0.012, low=-0.004, high=0.028),
    said=["the model had Dice 0.610 on 16 picks of the strategy and 0.780 on 4 random ones"],
)
AGREEMENT = m.Agreement(items=6, waiting=1, disputes=1, per_class={"heart": 0.91})
DISPUTE = m.Dispute(
    item=NEXT, lowest=0.64, per_class={"heart": 0.64},
    readings=[
        m.ReadingView(by="anna", kind="mask", seconds=41.5),
        m.ReadingView(by="ben", kind="mask", seconds=38.0),
    ],
)  # fmt: skip
LABEL = m.LabelView(kind="mask", by="anna", revision=3, seconds=41.5)
ASKED = m.Asked(
    item=NEXT, order=0, reason="uncertain: 92 of 100", audit=False, control=False, reading=1,
    state="open", by=None, minutes=1.5,
)  # fmt: skip
ITEM = m.ItemView(
    item=NEXT, group=["patient003", "ED"], z=4, height=256, width=216, channels=1, bits=16,
    spacing=(10.0, 1.5, 1.5), window=m.Window(low=0.0, high=420.0),
    scale=m.ScaleView(slope=1.0, intercept=0.0), previous="patient003_ED_z03",
    next="patient003_ED_z05", prediction=True, uncertainty=True, label=None,
    draft=m.DraftView(sequence=7, kind="mask", seconds=12.5), sequence=7,
    lease=m.LeaseView(by="anna", until=UNTIL), skipped=None, reason=ASKED.reason, split="train",
    audit=False, reading=1, may_label=True,
)  # fmt: skip
STORE = monai.Store(total=120, completed=14, label_tags={"final": 14})
NII = monai.Extent(ext=".nii.gz")

EXAMPLES: tuple[BaseModel, ...] = (
    m.Problem(detail="patient003_ED_z04: ben is labelling it (until 09:10); take another item"),
    m.Ready(name="heart", users=True),
    m.SignedIn(user="anna", role="annotator", csrf="6f1ed002ab55", users=True),
    m.SignIn(name="anna", password="correct horse battery"),
    m.ProjectView(
        name="heart", created=UNTIL, classes=[CELL], background=0, unknown=255, channels=1,
        bits=16, is_volume=True, summary={"items": 1800, "next": "fewmasks train heart"},
    ),
    m.Queue(round=3, strategy="clasp-pe", items=[ASKED], minutes_left=1.5),
    m.Take(item=NEXT),
    m.Taken(item=NEXT, until=UNTIL, revision=0, sequence=0),
    ITEM,
    m.Saved(sequence=7),
    m.Answer(kind="mask", seconds=41.5, sequence=7, base=0),
    m.Stored(revision=3, next=NEXT),
    m.Skip(reason="motion blur", flag=True),
    m.Next(next=NEXT),
    m.Comment(text="Is this still the apex?"),
    m.CommentView(by="anna", text="Is this still the apex?", created=UNTIL),
    m.StartJob(strategy="clasp-pe", limit=20),
    m.Started(id=4),
    m.JobView(
        id=4, state="running", what="training", done=120, of=400, line="training on 41 labels",
        lines=["training on 41 labels"], by="anna", started=UNTIL,
    ),
    STOP,
    CONTROL,
    AGREEMENT,
    DISPUTE,
    m.Verdict(reading=2),
    m.Dashboard(
        labels=m.Counts(mask=18, scribble=2), minutes=31.5, curve=[POINT],
        control=CONTROL, agreement=AGREEMENT, next="fewmasks next heart", stop=STOP,
    ),
    monai.AuthInfo(enabled=True),
    monai.Token(access_token="0Nn2xq7"),
    monai.Info(
        name="heart", description="fewmasks", version="0.1.0", labels=["heart"],
        models={
            "fewmasks": monai.Model(labels={"heart": 1}, dimension=3, description="the newest")
        },
        trainers={"fewmasks": monai.Described(description="train on all labels, and ask again")},
        strategies={"round": monai.Described(description="the next open image of the round")},
        train_stats={"fewmasks": {"best_metric": 0.812}}, datastore=STORE,
    ),
    monai.Sample(
        id="patient003_ED", name="patient003_ED.nii.gz", weight=1.0, items=[NEXT], slices=[4],
        reason=ASKED.reason,
    ),
    STORE,
    monai.Listing(
        name="heart", description="",
        objects={"patient003_ED": monai.StoredImage(image=NII, labels={"final": NII})},
    ),
    monai.LabelTaken(
        image="patient003_ED", label="patient003_ED", stored=[NEXT],
        left={"patient003_ED_z05": "ben is labelling it"},
    ),
    monai.Task(
        id="4", status="RUNNING", model="fewmasks", start_ts=UNTIL,
        details=["training on 41 labels"],
    ),
    studio.Health(status="UP", model_class="fewmasks"),
    studio.Version(model_version="fewmasks-3"),
    studio.Predictions(results=[studio.Prediction(result=[], model_version="fewmasks-3")]),
    studio.Done(item=NEXT),
)  # fmt: skip
"""One of each message that a request takes or answers."""


def describing(app: FastAPI) -> Callable[[], dict[str, Any]]:
    """The app's own description, with the first sentence about each request and the examples."""
    plain = app.openapi

    @cache
    def openapi() -> dict[str, Any]:
        told = plain()
        for methods in told["paths"].values():
            for request in methods.values():
                request["summary"] = request["description"].partition("\n")[0].rstrip(".")
        for example in EXAMPLES:
            schema = told["components"]["schemas"][type(example).__name__]
            needed = schema.get("required", ())
            values = example.model_dump(mode="json").items()
            schema["examples"] = [{k: v for k, v in values if v is not None or k in needed}]
        return told

    return openapi
