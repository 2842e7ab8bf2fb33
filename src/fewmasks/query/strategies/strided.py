"""Evenly spread volumes, and in each of them every k-th slice."""

import numpy as np

from fewmasks.query.strategy import Rows, Strategy

GOLDEN = 0.618_033_988_749_895
"""Share of a stride by which the first slice moves from volume to volume: slices at every
depth get their turn, however few each volume gives."""


def strided(
    unlabelled: Rows, labelled: Rows, group: Rows, volume: Rows, z: Rows, limit: int
) -> Rows:
    """Spread the picks evenly over volumes, the least labelled first, then along z.

    Volumes are ordered by group. Where each image is its own volume, as in 2D, this is an even
    stride over the images in the order of their groups.
    """
    if limit <= 0 or len(unlabelled) == 0:
        return unlabelled[:0]
    ordered = unlabelled[np.lexsort((z[unlabelled], volume[unlabelled], group[unlabelled]))]
    start, size = _runs(group[ordered], volume[ordered])
    known = np.bincount(volume[labelled], minlength=int(volume.max()) + 1)[volume[ordered[start]]]
    share = _shares(known, size, limit)
    picks = []
    for turn in range(len(start)):
        phase = (GOLDEN * (turn + known[turn])) % 1
        steps = (np.arange(share[turn]) + phase) * size[turn] / max(share[turn], 1)
        picks.append(ordered[start[turn] + steps.astype(np.int64)])
    return np.concatenate(picks)


def _runs(group: Rows, volume: Rows) -> tuple[Rows, Rows]:
    """Start and length of the runs of equal group and volume in an ordered list."""
    change = np.flatnonzero((np.diff(volume) != 0) | (np.diff(group) != 0)) + 1
    start = np.concatenate([[0], change]).astype(np.int64)
    return start, np.diff(np.append(start, len(volume)))


def _shares(known: Rows, size: Rows, limit: int) -> Rows:
    """How many picks each volume gives: one after the other to those with fewest labels."""
    share = np.zeros_like(size)
    left = min(limit, int(size.sum()))
    while left > 0:
        count = np.where(share < size, known + share, np.iinfo(np.int64).max)
        level = np.flatnonzero(count == count.min())
        if len(level) > left:
            level = level[((np.arange(left) + 0.5) * len(level) / left).astype(np.int64)]
        share[level] += 1
        left -= len(level)
    return share


STRATEGY = Strategy(
    "strided",
    strided,
    reference="Every k-th slice, a strong baseline for volumes in Burmeister et al., Less Is More, "
    "2022, arXiv:2207.00845",
    bibtex=r"""@misc{burmeister2022less,
  title = {Less Is More: A Comparison of Active Learning Strategies for {3D} Medical Image
           Segmentation},
  author = {Burmeister, Josafat-Mattias and Fernandez Rosas, Marcel and Hagemann, Johannes and
            Kordt, Jonas and Blum, Jasper and Shabo, Simon and Bergner, Benjamin and
            Lippert, Christoph},
  year = {2022},
  eprint = {2207.00845},
  archiveprefix = {arXiv}
}""",
    advice="Slices of volumes before any model exists, or as a second control beside random.",
)
