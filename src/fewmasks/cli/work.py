"""Commands for work on a project: create, info, train, next, label, predict, compare."""

import json
import shlex
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Literal

import typer

from fewmasks.cli.progress import Report, progress
from fewmasks.errors import ConfigError

Folder = Annotated[Path, typer.Argument(metavar="PROJECT", help="Folder of the project.")]
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="SECTION.KEY=VALUE", help="Change a setting, such as learn.size=256."
    ),
]
Overlap = Annotated[
    float,
    typer.Option(help="Of regions: share by which windows overlap; pixels have their mean."),
]
AsJson = Annotated[bool, typer.Option("--json", help="Print JSON.")]


def create(
    project: Folder,
    images: Annotated[
        list[Path] | None, typer.Option(help="Image file or folder; may be given several times.")
    ] = None,
    table: Annotated[
        Path | None,
        typer.Option(help="CSV file with the columns id, image, mask, group, split ..."),
    ] = None,
    masks: Annotated[
        Path | None, typer.Option(help="Folder of reference masks, named like the images.")
    ] = None,
    scribbles: Annotated[
        Path | None, typer.Option(help="Folder of reference scribbles; 255 is not labelled.")
    ] = None,
    classes: Annotated[
        str | None, typer.Option(help="Names of the classes 0, 1, 2 ..., joined by commas.")
    ] = None,
    region: Annotated[
        int | None, typer.Option(help="Cut pictures longer than this into regions of this side.")
    ] = None,
    test_fraction: Annotated[
        float, typer.Option(help="Share of the items kept for testing, in whole groups.")
    ] = 0.2,
    slice_axis: Annotated[
        int | None, typer.Option(help="Axis of volume files along which slices are taken.")
    ] = None,
    group_by: Annotated[
        str | None,
        typer.Option(help="`id` makes each file its own group, whatever the table says."),
    ] = None,
) -> None:
    """Make a project from images; the test side is chosen now and never changes."""
    from fewmasks.project import Import
    from fewmasks.project import create as create_project

    if group_by not in (None, "id"):
        raise ConfigError(f"--group-by: only `id` is known ({group_by}); leave it out otherwise")
    given = Import(
        images=tuple(images or ()),
        table=table,
        masks=masks,
        scribbles=scribbles,
        classes=tuple(name.strip() for name in classes.split(",")) if classes is not None else (),
        region=region,
        test_fraction=test_fraction,
        slice_axis=slice_axis,
        group_by="id" if group_by else None,
    )
    with progress() as report:
        made = create_project(project, given, typer.echo, report)
    _print_summary(made.summary())


def info(
    project: Folder,
    items: Annotated[bool, typer.Option("--items", help="Name every item, one a line.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say where a project stands and what to do next."""
    from fewmasks.project.summary import item_ids, summarise

    if items:
        found = item_ids(project)
        typer.echo(json.dumps(found, indent=1) if as_json else "\n".join(map("\t".join, found)))
        return
    summary = summarise(project)
    if as_json:
        typer.echo(json.dumps(summary, indent=1))
        return
    _print_summary(summary)


def pretrain(
    project: Folder,
    method: Annotated[
        Literal["byol", "group", "cluster", "dense"] | None,
        typer.Option(help="How to learn; the default is the setting pretrain.method."),
    ] = None,
    epochs: Annotated[
        int | None, typer.Option(help="How often every training item is seen.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Learn from the training items without labels; goes on where it was stopped."""
    opened = _open(project, [*(settings or []), *([f"pretrain.epochs={epochs}"] if epochs else [])])
    from fewmasks.pretrain import session  # after it, so that a wrong folder is named at once
    from fewmasks.pretrain.probe import probe

    with progress() as report:
        made = session.pretrain(opened, method, report=report)
        found = probe(opened, made.path, report=report)
    typer.echo(f"pre-trained with {made.method}: {made.iterations} steps in {made.seconds:.0f} s")
    typer.echo(found.sentence())
    start = made.method if found.helps else "scratch"
    typer.echo(f"next: fewmasks train {project} --start {start}")


def train(
    project: Folder,
    start: Annotated[
        str,
        typer.Option(
            help="Where to start: scratch, byol, group, cluster, dense, imagenet, or a FILE of "
            "weights (.safetensors or .pth)."
        ),
    ] = "scratch",
    settings: Settings = None,
) -> None:
    """Train a model on all labels and score it on the test side."""
    opened = _open(project, settings)
    from fewmasks.learn import session  # after it, so that a wrong folder is named at once

    with progress() as report:
        scores = session.train(opened, start, report)
        from fewmasks.study.progress import write_figures

        write_figures(opened, report)
    if scores is None:
        typer.echo("trained; no test item has a mask yet, so there is no score")
    else:
        typer.echo(f"trained; {_sentence(scores.dice, scores.hd95, scores.per_class)}")
    guessed = dict(opened.trainings()[-1]["guessed"])
    if blank := guessed.pop("gated_crf", 0):
        typer.echo(
            f"labels that leave pixels blank: {blank}; there neighbours of like colour are asked "
            f"to agree (learn.gated_crf)"
        )
    if guessed:
        counts = ", ".join(f"{name} {count}" for name, count in guessed.items())
        typer.echo(f"items guessed about: {counts}; no guess is kept as a label")
    if opened.summary()["labels"]["scribble"] and not opened.config.learn.random_walk:
        typer.echo(
            "scribbles say nothing of what lies far from them: where every object has its stroke, "
            "--set learn.random_walk=0.5 completes them (a heart study: Dice 0.8 instead of 0.6)"
        )
    typer.echo(f"stop? {opened.summary()['stop']['sentence']}")
    typer.echo(f"next: fewmasks next {project}")


def next_(
    project: Folder,
    strategy: Annotated[
        str | None, typer.Option(help="How to choose; see `fewmasks strategies`.")
    ] = None,
    limit: Annotated[
        int | None,
        typer.Option(help="How many items to ask for; by default as many as last time, or 20."),
    ] = None,
    minutes: Annotated[
        float | None, typer.Option(help="How many minutes of labelling to fill.")
    ] = None,
    like: Annotated[
        str | None,
        typer.Option(metavar="ITEM", help="Ask for what looks most like this training item."),
    ] = None,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Choose the next items to label."""
    opened = _open(project, settings)
    from fewmasks.learn import session  # after it, so that a wrong folder is named at once

    if like is not None and strategy is not None:
        raise ConfigError("next: both --like and --strategy are given; give one")
    with progress() as report:
        say = partial(typer.echo, err=True)
        if like is None:
            asked = session.next_round(opened, strategy, limit, minutes, say, report)
        else:
            asked = session.next_like(opened, like, limit, minutes, say, report)
    picks = [
        {"item": pick.item, "reason": pick.reason, "audit": pick.audit}
        | {"control": pick.control, "readings": pick.readings}
        for pick in asked.picks
    ]
    if as_json:
        found = {"round": asked.number, "strategy": asked.strategy, "picks": picks}
        typer.echo(json.dumps(found, indent=1))
        return
    typer.echo(f"round {asked.number}, {asked.strategy}: label these {len(picks)} items")
    for pick in asked.picks:
        typer.echo(f"  {pick.item}  {pick.reason}")
    typer.echo(
        f"next: fewmasks serve {project} (or, from files, fewmasks label {project} "
        f"--from FOLDER_OF_MASKS), then fewmasks train {project}"
    )


def label(
    project: Folder,
    from_: Annotated[
        Path | None,
        typer.Option(
            "--from",
            help="Mask file, folder of masks named like the items, or tasks.json of Label Studio.",
        ),
    ] = None,
    from_reference: Annotated[
        bool, typer.Option("--from-reference", help="Take the reference masks of training items.")
    ] = False,
    items: Annotated[
        list[str] | None, typer.Option(help="Only these items; may be given several times.")
    ] = None,
    kind: Annotated[
        Literal["mask", "scribble"], typer.Option(help="What the files hold.")
    ] = "mask",
    skip: Annotated[
        list[str] | None,
        typer.Option(help="Never ask for this item again; may be given several times."),
    ] = None,
    by: Annotated[str, typer.Option(help="Who labelled.")] = "files",
) -> None:
    """Take masks or scribbles as labels, from files or from the reference masks."""
    from fewmasks.interop import labels
    from fewmasks.project import open_project

    if (from_ is not None) + from_reference + bool(skip) != 1:
        raise ConfigError("label: give one of --from PATH, --from-reference and --skip ITEM")
    opened = open_project(project)
    if skip:
        opened.skip(skip, "skipped on the command line")
        typer.echo(f"not asked for again: {', '.join(skip)}")
        typer.echo(f"next: {opened.summary()['next']}")
        return

    with progress() as report:
        count_up = partial(_count_up, report)
        if from_ is None:
            count = labels.label_from_reference(opened, items or (), count_up)
        else:
            count = labels.label_from_files(
                opened, from_, items or (), kind, by, typer.echo, count_up
            )
    typer.echo(f"{count} labels stored")
    typer.echo(f"next: {opened.summary()['next']}")


def _count_up(report: Report, done: int) -> None:
    report("storing labels", done, -1)


def export(
    project: Folder,
    format: Annotated[str, typer.Option(help="png or label-studio.")],
    out: Annotated[Path, typer.Option(help="Folder for the files.")],
) -> None:
    """Write the labels as files for other programs; 255 or a stroke of its own is unknown."""
    from fewmasks.interop import export as exporting
    from fewmasks.project import open_project

    with progress() as report:
        count = exporting.export(
            open_project(project), format, out, lambda done, of: report("exporting", done, of)
        )
    typer.echo(f"{count} items written to {out}")


def predict(
    project: Folder,
    images: Annotated[list[Path], typer.Option(help="Image file or folder; may be repeated.")],
    out: Annotated[Path, typer.Option(help="Folder for the masks.")],
    probabilities: Annotated[
        bool,
        typer.Option("--probabilities", help="Also write class probabilities as .npy (float16)."),
    ] = False,
    overlap: Overlap = 0.25,
    model: Annotated[
        Path | None, typer.Option(help="File of a model; default: the one trained last.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Write masks for new images, in their own geometry and format."""
    opened = _open(project, settings)
    from fewmasks.learn import scenes

    with progress() as report:
        written = scenes.predict_files(opened, images, out, probabilities, report, overlap, model)
    typer.echo(f"{len(written)} masks written to {out}")


def compare(
    project: Folder,
    images: Annotated[Path, typer.Option(help="Image file or folder that no model learnt from.")],
    masks: Annotated[Path, typer.Option(help="Folder of their masks, named like the images.")],
    models: Annotated[
        list[Path] | None,
        typer.Argument(help="Files of models; default: all that the project has trained."),
    ] = None,
    overlap: Overlap = 0.25,
    settings: Settings = None,
    as_json: AsJson = False,
) -> None:
    """Choose among models by the mean of their ranks in four metrics on whole images."""
    opened = _open(project, settings)
    from fewmasks.learn import scenes

    with progress() as report:
        found = scenes.compare(opened, images, masks, models or (), report, overlap)
    if as_json:
        typer.echo(json.dumps([{**asdict(each), "model": str(each.model)} for each in found]))
        return
    typer.echo("  rank     F1    IoU  precision  recall  model")
    for each in found:
        typer.echo(
            f"{each.rank:6.2f}  {each.f1:.3f}  {each.iou:.3f}      {each.precision:.3f}   "
            f"{each.recall:.3f}  {each.model}"
        )
    best = shlex.quote(str(found[0].model))
    typer.echo(f"next: fewmasks predict {project} --model {best} --images ... --out ...")


COMMANDS = (create, info, pretrain, train, next_, label, export, predict, compare)


def _open(folder: Path, settings: list[str] | None) -> Any:
    """The project with `--set` settings on top of its own, for this command only."""
    from fewmasks.project import open_project

    opened = open_project(folder)
    if settings:
        opened.config = opened.config.with_settings(settings)
    return opened


def _print_summary(summary: dict[str, Any]) -> None:
    train_side, test_side = summary["train"], summary["test"]
    typer.echo(
        f"{summary['project']}: {summary['items']} items, classes {', '.join(summary['classes'])}"
    )
    typer.echo(f"  train  {train_side['items']} items of {train_side['groups']} groups")
    typer.echo(f"  test   {test_side['items']} items of {test_side['groups']} groups, frozen")
    made = ", ".join(f"{count} {kind}s" for kind, count in summary["labels"].items() if count)
    typer.echo(f"  labels {made or 'none yet'}; {summary['minutes']:g} minutes spent")
    if summary["rounds"]:
        typer.echo(f"  rounds {summary['rounds']}, {summary['open_picks']} items open")
    for what in ("audited", "skipped"):
        if summary[what]:
            typer.echo(f"  {what} {summary[what]} items")
    scores = summary["scores"]
    if scores:
        typer.echo(f"  score  {_sentence(scores['dice'], scores['hd95'], scores['per_class'])}")
    if summary["stop"]:
        typer.echo(f"  stop?  {summary['stop']['sentence']}")
    for line in (summary["control"] or {"said": []})["said"]:
        typer.echo(f"  control {line}")
    if summary["missing_sources"]:
        typer.echo(
            f"  {summary['missing_sources']} image files are gone; the pixel cache still holds them"
        )
    typer.echo(f"next: {summary['next']}")


def _sentence(dice: float, hd95: float, per_class: dict[str, float]) -> str:
    classes = ", ".join(f"{name} {value:.3f}" for name, value in per_class.items())
    return f"Dice {dice:.4f}, HD95 {hd95:.2f} ({classes})"
