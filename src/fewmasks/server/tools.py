"""Tools that begin or finish a drawing: outlines, edges, a random walk, slices between."""

import threading

import numpy as np
from jaxtyping import Bool, Float, UInt8
from sqlalchemy import select

from fewmasks.learn.weak.interpolation import between
from fewmasks.learn.weak.watershed import objects
from fewmasks.project import Project
from fewmasks.project.schema import item, label
from fewmasks.server.pictures import picture
from fewmasks.server.refusal import Refusal
from fewmasks.types import UNKNOWN, Item

LONGEST_SIDE = 320
"""Of what is solved; the result is drawn back to the size of the item."""
LONGEST_FLOODED = 1024
"""The same for a watershed."""
LEAST_REACH = 3
ALONG = 256
"""How far borders snap: so many pixels at least, or the longest side by so many."""
BETA = 130.0
"""How much an edge holds the walker up (Grady 2006)."""
FARTHEST_SLICES = 20

_one_at_a_time = threading.Lock()


def random_walk(
    project: Project, row: int, scribble: UInt8[np.ndarray, "y x"]
) -> UInt8[np.ndarray, "y x"]:
    """The class whose scribble a random walker from each pixel most likely meets first.

    Grady, Random Walks for Image Segmentation, TPAMI 2006. Edges are barriers.
    """
    chosen = project.pool.items[row]
    present = np.flatnonzero(np.bincount(scribble.ravel(), minlength=256)[:UNKNOWN])
    if len(present) < 2:
        raise Refusal(
            422,
            f"{chosen.id}: scribbles of {len(present)} classes; draw two or more, of which the "
            f"background may be one",
        )
    step = -(-max(scribble.shape) // LONGEST_SIDE)
    pixels = _thinned(project, chosen, step)
    seeds = _shrink(scribble, step, present)
    numbers = np.zeros(256, np.int32)
    numbers[present] = np.arange(1, len(present) + 1)
    numbers[UNKNOWN] = 0
    solved = _solve(pixels, numbers[seeds])
    found = _enlarged(present.astype(np.uint8)[solved - 1], step, scribble.shape)
    return np.where(scribble == UNKNOWN, found, scribble)


def watershed(project: Project, row: int, dark: bool) -> UInt8[np.ndarray, "y x"]:
    """Outlines of objects that are brighter, or darker, than what is around them."""
    chosen = project.pool.items[row]
    background = project.background
    if background is None or len(project.classes) != 2:
        raise Refusal(
            409,
            f"{chosen.id}: a watershed outlines objects of one class before a background, and "
            f"this project has the classes {', '.join(project.classes)}; draw it",
        )
    shape = project.shape(chosen)
    step = -(-max(shape) // LONGEST_FLOODED)
    pixels = _thinned(project, chosen, step)
    with _one_at_a_time:
        found = objects(-pixels if dark else pixels)
    if not found.any():
        raise Refusal(
            422, f"{chosen.id}: nothing {'dark' if dark else 'bright'} stands out; draw it"
        )
    mask = np.where(found > 0, 1 - background, background).astype(np.uint8)
    return _enlarged(mask, step, shape)


def snap(project: Project, row: int, drawn: UInt8[np.ndarray, "y x"]) -> UInt8[np.ndarray, "y x"]:
    """What is drawn, with its borders moved to the strongest edges near them.

    A watershed of the gradient, seeded by all that lies farther from a border than a hand errs
    (Meyer and Beucher, Morphological segmentation, 1990). What is unknown stays so, and a part too
    small to have such an inside stays as it is.
    """
    from scipy.ndimage import find_objects, gaussian_gradient_magnitude, maximum_filter
    from skimage.measure import label as numbered
    from skimage.segmentation import watershed

    chosen = project.pool.items[row]
    borders = _borders(drawn)
    if not borders.any():
        raise Refusal(422, f"{chosen.id}: no two classes meet; draw something to snap")
    reach = max(LEAST_REACH, max(drawn.shape) // ALONG)
    near = maximum_filter(borders, 2 * reach - 1)
    ((rows, columns),) = find_objects(near.astype(np.uint8))  # nothing else is computed
    place = tuple(slice(max(0, of.start - reach), of.stop + reach) for of in (rows, columns))
    drawn_here, near = drawn[place], near[place]
    shades = np.moveaxis(picture(project, chosen)[place].astype(np.float32), -1, 0)
    edges = np.stack([gaussian_gradient_magnitude(each, 1.0) for each in shades]).max(axis=0)
    parts = numbered(drawn_here.astype(np.int32), background=-1, connectivity=1)
    has_inside = np.bincount(parts.ravel(), ~near.ravel()) > 0
    seeds = np.where(near & has_inside[parts], 0, drawn_here.astype(np.int32) + 1)
    # Seeds far from any border flood nothing, and each would take its turn.
    flooded = maximum_filter(near, 3) & (drawn_here != UNKNOWN)
    with _one_at_a_time:
        found = watershed(edges, seeds, mask=flooded)
    snapped = drawn.copy()
    snapped[place] = np.where(found > 0, found - 1, drawn_here)
    return snapped


def _borders(drawn: UInt8[np.ndarray, "y x"]) -> Bool[np.ndarray, "y x"]:
    """Pixels beside one of another class; the unknown is none."""
    found = np.zeros(drawn.shape, bool)
    for ours, theirs in ((np.s_[1:], np.s_[:-1]), (np.s_[:, 1:], np.s_[:, :-1])):
        one, other = drawn[ours], drawn[theirs]
        meet = (one != other) & (one != UNKNOWN) & (other != UNKNOWN)
        found[ours] |= meet
        found[theirs] |= meet
    return found


def _thinned(project: Project, chosen: Item, step: int) -> Float[np.ndarray, "y x"]:
    """Every `step`-th pixel of a picture, its channels averaged."""
    return picture(project, chosen)[::step, ::step].mean(axis=2).astype(np.float64)


def _enlarged(
    mask: UInt8[np.ndarray, "v w"], step: int, shape: tuple[int, ...]
) -> UInt8[np.ndarray, "y x"]:
    return np.kron(mask, np.ones((step, step), np.uint8))[: shape[0], : shape[1]]


def interpolate(project: Project, row: int) -> UInt8[np.ndarray, "y x"]:
    """A mask between the nearest labelled slices below and above, by their signed distances."""
    below, above = _labelled_around(project, row)
    z = project.pool.items[row].z
    (low, first), (high, second) = below, above
    return between(first, second, (z - low) / (high - low))


def _solve(pixels: Float[np.ndarray, "y x"], seeds: np.ndarray) -> np.ndarray:
    """Numbers from 1 everywhere, where `seeds` has some."""
    from skimage.segmentation import random_walker

    if np.ptp(pixels) == 0:  # scikit-image divides by the deviation
        pixels = pixels.copy()
        pixels[0, 0] += 1
    with _one_at_a_time:  # it takes a processor and 100 MB for a moment
        return random_walker(pixels / pixels.std(), seeds, beta=BETA, mode="bf")


def _shrink(
    scribble: UInt8[np.ndarray, "y x"], step: int, present: np.ndarray
) -> UInt8[np.ndarray, "v w"]:
    """Every `step`-th pixel, but no scribble is lost: a block with one shows the rarest class."""
    if step == 1:
        return scribble
    height, width = (-(-side // step) for side in scribble.shape)
    padded = np.full((height * step, width * step), UNKNOWN, np.uint8)
    padded[: scribble.shape[0], : scribble.shape[1]] = scribble
    blocks = padded.reshape(height, step, width, step)
    small = np.full((height, width), UNKNOWN, np.uint8)
    for number in sorted(present, key=lambda n: -int((scribble == n).sum())):
        small[(blocks == number).any(axis=(1, 3))] = number
    return small


def _labelled_around(
    project: Project, row: int
) -> tuple[tuple[int, np.ndarray], tuple[int, np.ndarray]]:
    """Position and mask of the nearest full masks below and above, of the same file and place."""
    with project.engine.begin() as connection:
        mine = connection.execute(select(item).where(item.c.row == row)).one()
        query = select(item.c.id, item.c.z).where(item.c.source_id == mine.source_id)
        for name in ("y0", "x0"):
            query = query.where(item.c[name].is_not_distinct_from(mine._mapping[name]))
        query = query.where(item.c.row.in_(select(label.c.item_row))).order_by(item.c.z)
        near = [r for r in connection.execute(query) if abs(r.z - mine.z) <= FARTHEST_SLICES]
    stored = [(r.z, project.label(r.id)) for r in near]
    masks = [(z, found.mask) for z, found in stored if found and found.kind == "mask"]
    below = [each for each in masks if each[0] < mine.z]
    above = [each for each in masks if each[0] > mine.z]
    if not below or not above:
        raise Refusal(
            409,
            f"{mine.id}: no labelled slice within {FARTHEST_SLICES} "
            f"{'above' if below else 'below'} it; label one there first",
        )
    return below[-1], above[0]
