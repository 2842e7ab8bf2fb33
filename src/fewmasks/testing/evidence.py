"""Evidence of made-up pools, for tests of strategies."""

from typing import Any

import numpy as np

from fewmasks.types import Item, Rows


def make_evidence(n: int, labelled: Rows, limit: int, seed: int = 0) -> dict[str, Any]:
    """Every evidence there is, finite everywhere: three classes, volumes of five slices."""
    rng = np.random.default_rng(seed)
    volume = np.arange(n) // 5
    return {
        "unlabelled": np.setdiff1d(np.arange(n), labelled),
        "labelled": labelled,
        "limit": limit,
        "rng": np.random.default_rng([seed, 1]),
        "progress": 0.5,
        "rounds": len(labelled) / max(limit, 1),
        "group": volume // 2,
        "volume": volume,
        "z": np.arange(n) % 5,
        "foreground": np.array([1, 2]),
        **{name: rng.random(n) for name in SCORES},
        "class_entropy": rng.random((n, 3)),
        "class_share": rng.dirichlet(np.ones(3), size=n),
        "embedding": rng.normal(size=(n, 8)),
        "gradient_img": rng.random((n, 3)),
        "gradient_seg": rng.random((n, 3)),
        "badge_error": rng.normal(size=(n, 3)),
        "badge_feature": rng.normal(size=(n, 8)),
        "thumbnail": rng.random((n, 16)),
        "true_classes": rng.random((n, 3)) < 0.4,
        "gcn_embedding": rng.normal(size=(n, 8)),
        "novelty": rng.random(n),
        "difficulty": rng.random(n),
        "thumbnail_32": rng.random((n, 16)),
        "known_pixels": rng.random((n, 16)) < 0.6,
    }


SCORES = (
    "uncertainty",
    "entropy",
    "margin",
    "least_confidence",
    "variance",
    "variation_ratio",
    "bald",
)

FEATURES: tuple[str, ...] = (
    *SCORES,
    "class_entropy",
    "class_share",
    "embedding",
    "gradient_img",
    "gradient_seg",
    "badge_error",
    "badge_feature",
    "thumbnail",
    "true_classes",
    "gcn_embedding",
    "novelty",
    "difficulty",
    "thumbnail_32",
    "known_pixels",
)
"""Evidence with a value per item that says what the item is like."""


def make_items(n: int) -> tuple[Item, ...]:
    """Items of the same pool: two volumes a patient, five slices a volume."""
    return tuple(
        Item(f"item{row}", f"v{row // 5}.nii", (f"patient{row // 10}",), row % 5)
        for row in range(n)
    )
