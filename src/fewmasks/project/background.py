"""Which class is the background: the one rule for scores, training, reports and pages."""

from collections.abc import Sequence


def background_of(names: Sequence[str]) -> int | None:
    """The class that is called "background", in whatever case; None where none is.

    >>> background_of(["cell", "Background"])
    1
    """
    folded = [name.casefold() for name in names]
    return folded.index("background") if "background" in folded else None
