"""What a training draws for the page: from labels and the test side alone, ready for plotly.js."""

import json

import numpy as np
import pytest
from tests.study import made

from fewmasks.config import Config
from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import session
from fewmasks.project import Project
from fewmasks.study import progress
from fewmasks.study.progress import CONTROL, curve_of, picks_of, write_figures
from fewmasks.types import Pick, Round

pytestmark = pytest.mark.slow


def silent(*_):
    pass


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    """Two trainings, of which the second knows a control pick and one whose label is background."""
    project = made.pictures(tmp_path_factory.mktemp("progress"))
    project.config = Config().with_settings(made.FAST)
    project.add_round(Round(0, "random", 0, (Pick("p00", "why"), Pick("p01", "why"))))
    label_from_reference(project, ["p00", "p01"])
    session.train(project)
    picks = (Pick("p02", "why"), Pick("p03", "why", control=True), Pick("p04", "why"))
    project.add_round(Round(1, "entropy", 0, picks))
    label_from_reference(project, ["p02", "p03"])
    session.train(project)
    return project


@pytest.fixture(scope="module")
def drawn(project):
    write_figures(project, silent)
    folder = project.folder / progress.FOLDER
    return {name: json.loads((folder / f"{name}.json").read_text()) for name in
            ("curve", "map", "tests")}  # fmt: skip


def test_the_curve_is_that_of_the_trainings(project, drawn):
    history = project.history()
    curve = curve_of(project)
    assert curve["items"].tolist() == [2, 4]
    assert curve["dice"].tolist() == [record["scores"]["dice"] for record, _ in history]
    assert curve["seconds"].tolist() == [120.0, 240.0]
    assert drawn["curve"]["trainings"] == 2
    line = [t for t in drawn["curve"]["dice-minutes"]["data"] if t.get("mode") == "lines+markers"]
    assert len(line) == 1
    assert numbers(line[0]["x"]) == pytest.approx([2.0, 4.0])
    assert numbers(line[0]["y"]) == pytest.approx(curve["dice"])


def numbers(of_axis) -> list[float]:
    """Plotly packs arrays as base64."""
    import base64

    if isinstance(of_axis, list):
        return of_axis
    return np.frombuffer(base64.b64decode(of_axis["bdata"]), of_axis["dtype"]).tolist()


def test_the_interval_is_drawn_where_a_training_has_one(project, monkeypatch):
    history = [({**record, "interval": [0.1, 0.95]}, spent) for record, spent in project.history()]
    monkeypatch.setattr(Project, "history", lambda self: history)
    figure = progress.curve_figures(project)["dice-items"]
    band = figure.data[-1]
    assert list(band.x) == [2, 4, 4, 2]
    assert list(band.y) == [0.95, 0.95, 0.1, 0.1]
    low, high = figure.layout.yaxis.range
    assert low < 0.1 < 0.95 < high


def test_a_training_without_a_score_is_no_fault(project, monkeypatch):
    history = [
        ({**record, "scores": None, "interval": None}, 0.0) for record, _ in project.history()
    ]
    monkeypatch.setattr(Project, "history", lambda self: history)
    assert np.isnan(curve_of(project)["dice"]).all()
    assert progress.curve_figures(project)


def test_the_map_shows_the_arms_of_what_was_labelled(project, drawn):
    asked = picks_of(project)
    assert asked[["strategy", "round", "item"]].to_numpy().tolist() == [
        ["random", 1, "p00"], ["random", 1, "p01"], ["entropy", 2, "p02"], [CONTROL, 2, "p03"]
    ]  # fmt: skip
    titles = [each["text"] for each in drawn["map"]["map"]["layout"]["annotations"]]
    assert titles[-3:] == ["random", "entropy", CONTROL]
    assert drawn["map"]["by"] == "thumbnail"


def test_nothing_is_drawn_from_reference_masks_of_the_training_side(project, monkeypatch):
    """They are known to the simulated annotator alone."""
    test = set(project.pool.ids(project.test))
    reference = Project.reference

    def watched(self, item):
        assert item.id in test
        return reference(self, item)

    monkeypatch.setattr(Project, "reference", watched)
    write_figures(project, silent)


def test_the_worst_and_the_best_test_items_have_pictures(project, drawn):
    scored = session.examine(session.newest_model(project), project, project.test).items
    (worst,), (best,) = drawn["tests"]["worst"], drawn["tests"]["best"]
    assert worst["item"] == min(scored, key=lambda item: (scored[item], item))
    assert best["item"] == max(scored, key=lambda item: (scored[item], item))
    assert worst["dice"] == pytest.approx(scored[worst["item"]], abs=1e-4)
    for picture in (worst["truth"], best["prediction"]):
        assert picture.startswith("data:image/png;base64,")
