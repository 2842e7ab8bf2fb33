from importlib.metadata import EntryPoint, EntryPoints

import pytest

from fewmasks.errors import ConfigError
from fewmasks.query.strategies import STRATEGIES, load_strategies
from fewmasks.query.strategy import Strategy

THEIRS = Strategy("theirs", lambda unlabelled, limit: unlabelled[:limit], reference="")
TAKEN = Strategy("random", lambda unlabelled, limit: unlabelled[:limit], reference="")
NOT_ONE = "a text"


@pytest.fixture
def offer(monkeypatch):
    """Let an installed distribution offer one object of this file."""

    def install(attribute):
        entry = EntryPoint("theirs", f"{__name__}:{attribute}", "fewmasks.strategies")
        monkeypatch.setattr(
            "importlib.metadata.entry_points",
            lambda group: EntryPoints([entry]).select(group=group),
        )

    return install


def test_plug_ins_join_the_table(offer):
    offer("THEIRS")
    assert load_strategies() == {**STRATEGIES, "theirs": THEIRS}
    assert "theirs" not in STRATEGIES


@pytest.mark.parametrize(
    ("attribute", "fault"),
    [
        ("TAKEN", "the strategy name 'random' is taken"),
        ("NOT_ONE", "gives a str, not a Strategy"),
        ("ABSENT", "cannot be loaded"),
    ],
)
def test_a_plug_in_that_does_not_fit_is_named(offer, attribute, fault):
    offer(attribute)
    with pytest.raises(ConfigError, match=fault) as caught:
        load_strategies()
    assert str(caught.value).startswith(f"{__name__}:{attribute}: ")


def test_the_table_is_keyed_by_name():
    assert all(name == strategy.name for name, strategy in STRATEGIES.items())
