"""The library in a few calls, as the documentation shows it."""

import inspect
import subprocess
import sys

import pandas as pd
import pytest

import fewmasks as fm
from tests.study import made


def test_every_public_name_is_there():
    for name in fm.__all__:
        assert getattr(fm, name) is not None
    assert dir(fm) == fm.__all__
    with pytest.raises(AttributeError, match="no attribute 'magic'"):
        fm.magic  # noqa: B018


def test_importing_costs_nothing():
    program = "import sys, fewmasks; print(*sorted(n for n in sys.modules if n[:8] == 'fewmasks'))"
    found = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert found.stdout.split() == ["fewmasks"]


@pytest.mark.slow
@pytest.mark.parametrize("kind", [str, lambda path: path], ids=["text", "path"])
def test_a_project_is_made_opened_and_simulated(kind, tmp_path):
    made.write_pictures(tmp_path / "study")
    project = fm.create(
        kind(tmp_path / "p"), table=kind(tmp_path / "study" / "meta.csv"), classes=made.CLASSES
    )
    assert len(fm.open(kind(tmp_path / "p")).pool) == len(project.pool) == 12
    project.config = fm.Config().with_settings(made.FAST)
    given = {"rounds": 2, "limit": 2}
    curve = fm.simulate(project, ["random"], out=kind(tmp_path / "out"), **given)
    assert isinstance(curve, pd.DataFrame)
    assert curve["items"].tolist() == [2, 4]
    again = fm.simulate(project, ["random"], out=kind(tmp_path / "out"), **given)
    pd.testing.assert_frame_equal(again, curve)


def test_folders_of_images_and_masks(tmp_path):
    study = made.write_pictures(tmp_path / "study").parent
    project = fm.create(
        tmp_path / "p", images=[study / "images"], masks=study / "masks",
        scribbles=study / "scribbles", classes=made.CLASSES, test_fraction=0.3, region=16,
    )  # fmt: skip
    assert len(project.pool) == 48
    assert project.has_reference.all()
    assert project.reference_scribble(project.pool.items[0]) is not None


def test_a_mistake_is_an_error_of_ours(tmp_path):
    with pytest.raises(fm.FewmasksError, match="not a fewmasks project"):
        fm.open(tmp_path)


@pytest.mark.slow
def test_people_go_on_round_by_round(tmp_path):
    project = made.pictures(tmp_path)
    project.config = fm.Config().with_settings(made.FAST)
    for strategy in ("random", "entropy"):
        asked = fm.next_round(project, strategy=strategy, limit=2)
        project.add_labels(
            [fm.Label(p.item, "mask", made.blob(int(p.item[1:]))[1], 5.0, "me")
             for p in asked.picks],
            round=asked.number,
        )  # fmt: skip
        scores = fm.train(project)
    assert 0 <= scores.dice <= 1
    (mask,) = fm.predict_files(project, [project.pool.items[0].source], tmp_path / "out")
    assert mask == tmp_path / "out" / "p00.png"


def test_calls_take_what_the_commands_take():
    assert set(inspect.signature(fm.next_round).parameters) >= {"strategy", "limit", "minutes"}
