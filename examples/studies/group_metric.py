"""Do slices of a volume, and of a patient, lie near each other in an embedding?

    python examples/studies/group_metric.py PROJECT --out metric.csv --seeds 3 \\
        --set learn.size=128 --set pretrain.iterations=1200 --set pretrain.batch=32

Group contrast is compared with NT-Xent, BYOL, raw pixels and the untrained encoder on the slices
of test patients, of which no pre-training has seen anything, and on those of training patients. All
have the same views, so that only the objective differs.
Recall is the share of a slice's mates, in its volume or patient, among as many neighbours as
it has mates; beside it stand the share of its five nearest that are mates, and the share of its
mates among its 10, 20 and 40 nearest.
A project of slices with several volumes a patient is needed, such as one of acdc.
"""

import argparse
import csv
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from jaxtyping import Float32, Int64
from sklearn.neighbors import NearestNeighbors

from fewmasks.config import Config
from fewmasks.learn.embed import encode, encoder_of, look_of
from fewmasks.learn.model import build
from fewmasks.learn.train import prepare_project
from fewmasks.pretrain.probe import Sampled, mate_codes, mate_recall, settle_statistics
from fewmasks.pretrain.session import pretrain
from fewmasks.project import Project, open_project

ARMS = {
    "BYOL": ("byol", ["pretrain.strength=0.25"]),
    "NT-Xent": ("group", ["pretrain.relations={}"]),
    "group contrast": ("group", []),
    "group contrast, as published": ("group", ["pretrain.spare_mates=0"]),
}
FIGURES = ["volume", "patient", "volume_of_5", "patient_of_5"]
WITHIN = [10, 20, 40]
FIGURES += [f"{name}_in_{k}" for k in WITHIN for name in ("volume", "patient")]


def main() -> None:
    words = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    words.add_argument("project", type=Path)
    words.add_argument("--out", type=Path, default=Path("metric.csv"))
    words.add_argument("--seeds", type=int, default=3)
    words.add_argument("--first", type=int, default=0, help="The first seed.")
    words.add_argument("--set", action="append", default=[], dest="settings")
    asked = words.parse_args()
    project = open_project(asked.project)
    config = project.config.with_settings(asked.settings)
    with asked.out.open("w", newline="") as file:
        table = csv.writer(file)
        table.writerow(["embedding", "seed", "side", *FIGURES])
        for seed in range(asked.first, asked.first + asked.seeds):
            for row in rows_of(project, config, seed):
                table.writerow(row)
                file.flush()


def rows_of(project: Project, config: Config, seed: int) -> Iterator[tuple[str | int | float, ...]]:
    """Recall of every embedding of one seed, on both sides."""
    card = prepare_project(project, config.learn)
    train, test = (project.pool.at(rows) for rows in (project.train, project.test))
    untrained = build(card, seed)
    settle_statistics(untrained, Sampled(card, project.cache, train, [], [], seed))
    looks = {"raw pixels": look_of(card, None), "untrained": encoder_of(card, untrained)}
    with tempfile.TemporaryDirectory() as folder:
        for number, (name, (method, settings)) in enumerate(ARMS.items()):
            own = config.with_settings(settings)
            out = Path(folder) / f"{number}.safetensors"
            looks[name] = look_of(card, pretrain(project, method, seed, out, own).path)
        for name, look in looks.items():
            for side, items in (("test", test), ("train", train)):
                points = encode(card, look, project.cache, items).astype(np.float32)
                codes = mate_codes(items)
                shares = [mate_recall(points, code, near) for near in (None, 5) for code in codes]
                shares += [found_within(points, code, k) for k in WITHIN for code in codes]
                yield name, seed, side, *(round(share, 4) for share in shares)


def found_within(
    points: Float32[np.ndarray, "n d"], codes: Int64[np.ndarray, " n"], k: int
) -> float:
    """Mean share of an item's mates that are among its k nearest neighbours."""
    near = NearestNeighbors(n_neighbors=min(k, len(points) - 1)).fit(points).kneighbors()[1]
    mates = np.bincount(codes)[codes] - 1
    found = (codes[near] == codes[:, None]).sum(axis=1)
    return float((found[mates > 0] / mates[mates > 0]).mean())


if __name__ == "__main__":
    main()
