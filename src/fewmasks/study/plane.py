"""Points of many dimensions on a plane: by PCA, or by t-SNE for who asks for it."""

from importlib.util import find_spec

import numpy as np
from jaxtyping import Float

from fewmasks.errors import MissingExtra

PERPLEXITY = 30
"""Neighbours that t-SNE keeps near each other, about; fewer where there are few points."""
FEWEST = 5
"""Points, below which there is nothing that t-SNE could arrange."""


def refuse_missing_tsne() -> None:
    """Say at once what a report would lack in the end."""
    if find_spec("openTSNE") is None:
        raise MissingExtra.of("openTSNE", "viz")


def principal_plane(
    points: Float[np.ndarray, "n d"],
) -> tuple[Float[np.ndarray, "n 2"], float]:
    """Coordinates along the two widest directions, and their share of the variance.

    Each direction points to where its largest coefficient is positive, so that equal points give
    an equal map.
    """
    centred = points.astype(np.float64) - points.mean(axis=0, dtype=np.float64)
    _, sizes, directions = np.linalg.svd(centred, full_matrices=False)
    if len(directions) < 2:  # one item, or embeddings of one number
        return np.pad(centred[:, :1], ((0, 0), (0, 1))), 1.0
    two = directions[:2]
    largest = np.abs(two).argmax(axis=1)
    two = two * np.sign(two[np.arange(2), largest])[:, None]
    total = float((sizes**2).sum())
    return centred @ two.T, float((sizes[:2] ** 2).sum()) / total if total else 1.0


def tsne_plane(points: Float[np.ndarray, "n d"], seed: int) -> Float[np.ndarray, "n 2"]:
    """Coordinates that keep near what is near, begun at those of PCA; the same for a seed.

    Distances between far points mean little (van der Maaten and Hinton 2008).
    """
    refuse_missing_tsne()
    from openTSNE import TSNE

    begin, _ = principal_plane(points)
    begin = 1e-4 * begin / (begin[:, 0].std() or 1.0)
    # One thread and exact neighbours: the last digits, and with them the map, depend on both.
    tsne = TSNE(
        perplexity=min(PERPLEXITY, (len(points) - 1) / 3), initialization=begin,
        neighbors="exact", negative_gradient_method="bh", n_jobs=1, random_state=seed,
    )  # fmt: skip
    return np.asarray(tsne.fit(points.astype(np.float64)))
