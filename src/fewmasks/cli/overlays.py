"""What the newest model says of the items that are asked for, as the labelling page shows it.

`python -m fewmasks.cli.overlays PROJECT`, the last step of the page's "train and ask again".
"""

import json
import sys
from pathlib import Path

import numpy as np
from jaxtyping import Float, UInt8

from fewmasks.cli.progress import Report, progress
from fewmasks.io.atomic import atomic, write_text
from fewmasks.io.masks import write_mask
from fewmasks.learn.costs import OUTLINES, blank_of
from fewmasks.loop.cost import outline
from fewmasks.project import Project, open_project

FOLDER = "predictions"


def write_overlays(project: Project, report: Report) -> int:
    """`<row>.png` (likeliest class) and `<row>-uncertainty.png` (entropy) of every open pick.

    Test items get none: who labels them must not be led by the model that they score. What older
    models said is removed last. How much there is to draw in each is noted beside them, for the
    minutes of the queue. Returns how many items there are.
    """
    from fewmasks.learn.predict import probabilities
    from fewmasks.learn.session import newest_model

    folder = project.folder / FOLDER
    folder.mkdir(exist_ok=True)
    rows = project.pool.rows(pick.item for pick in project.open_picks() if not pick.audit)
    found = probabilities(
        newest_model(project), project.cache, project.pool.at(rows),
        lambda done, of: report("predicting", done, of),
    )  # fmt: skip
    kept, drawn = set(), {}
    for row, probs in zip(rows.tolist(), found, strict=True):
        mask = probs.argmax(axis=0).astype(np.uint8)
        write_mask(folder / f"{row}.png", mask)
        drawn[row] = vars(outline(mask, blank_of(project, "mask")))
        _write_grey(folder / f"{row}-uncertainty.png", uncertainty(probs))
        kept |= {f"{row}.png", f"{row}-uncertainty.png"}
    write_text(folder / OUTLINES, json.dumps(drawn))
    for path in folder.glob("*.png"):
        if path.name not in kept:
            path.unlink()
    return len(rows)


def uncertainty(probs: Float[np.ndarray, "c y x"]) -> UInt8[np.ndarray, "y x"]:
    """Entropy of each pixel, 255 where all classes are equally likely."""
    from scipy.special import entr

    if len(probs) < 2:
        return np.zeros(probs.shape[1:], np.uint8)
    share = entr(probs).sum(axis=0) / np.log(len(probs))
    return np.rint(255 * share.clip(0, 1)).astype(np.uint8)


def _write_grey(path: Path, pixels: UInt8[np.ndarray, "y x"]) -> None:
    from PIL import Image

    with atomic(path) as file:
        Image.fromarray(pixels).save(file, format="PNG")


def main() -> int:
    """The program."""
    from fewmasks.cli.main import run

    return run(_command, sys.argv[1:])


def _command(args: list[str], prog_name: str, standalone_mode: bool) -> None:
    del prog_name, standalone_mode
    project = open_project(Path(args[0]))
    with progress() as report:
        write_overlays(project, report)


if __name__ == "__main__":
    sys.exit(main())
