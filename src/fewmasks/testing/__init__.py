"""What every query strategy must do, as tests for the strategies of others.

A test file of a package that offers a strategy needs two lines:

    from fewmasks.testing import strategy_laws
    test_laws = strategy_laws(STRATEGY)

pytest then shows one test per law, such as `test_laws[newest-an_empty_pool]`, to be chosen with
`-k`. There is no plug-in to load, neither by entry point nor by `-p`: pytest imports a `pytest11`
entry point at the start of every run in the environment, so each test run of everybody who has
fewmasks installed would pay for it. This import is paid by the file that asks for it, and pytest
is needed by `strategy_laws` alone: the laws themselves are plain functions that raise
AssertionError.
"""

from fewmasks.testing.evidence import FEATURES, make_evidence, make_items
from fewmasks.testing.laws import LAWS, laws_of, strategy_laws

__all__ = ["FEATURES", "LAWS", "laws_of", "make_evidence", "make_items", "strategy_laws"]
