"""Evidence of made-up pools. It is made in `fewmasks.testing.evidence`; new evidence goes there."""

from fewmasks.testing.evidence import FEATURES, SCORES, make_evidence, make_items

__all__ = ["FEATURES", "SCORES", "make_evidence", "make_items"]
