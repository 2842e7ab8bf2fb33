"""The map of the pool: the plane of most variance, of the training side and the picks."""

import numpy as np
import pandas as pd
import pytest
from tests.study import made
from tests.study.curves import made_up_study

from fewmasks.config import Config
from fewmasks.errors import ConfigError
from fewmasks.project import Import, create
from fewmasks.study import pool_map as module
from fewmasks.study.charts import MAP_COLOURINGS, looks, map_figure
from fewmasks.study.gallery import class_colours
from fewmasks.study.pool_map import pool_map
from fewmasks.study.report import write_report


@pytest.fixture
def project(tmp_path):
    return made.pictures(tmp_path)


def picks_of(*items, seed=0, strategy="random"):
    rows = [(strategy, "scratch", "mask", seed, n, 0, item) for n, item in enumerate(items)]
    names = ["strategy", "start", "annotation", "seed", "round", "order", "item"]
    return pd.DataFrame(rows, columns=names)


def test_the_training_side_is_shown_and_what_is_known_of_it(project):
    found = pool_map(project, made.plan_of(), picks_of("p00", "p01"))
    ids = [project.pool.items[row].id for row in project.train]
    assert found.points["item"].tolist() == ids
    assert found.embedding == "thumbnail"
    assert 0 < found.share <= 1
    assert set(found.points["class"]) == {"cell"}
    assert found.points["group"].tolist() == [f"g{n % 6}" for n in range(12) if n % 6 != 5]
    assert np.isfinite(found.points[["x", "y"]].to_numpy()).all()


def test_a_background_in_capitals_is_no_class_of_an_item(tmp_path):
    table = made.write_pictures(tmp_path / "study")
    project = create(tmp_path / "project", Import(table=table, classes=("Background", "cell")))
    found = pool_map(project, made.plan_of(), picks_of("p00"))
    assert set(found.points["class"]) == {"cell"}
    assert class_colours(project.classes)[0] is None
    assert class_colours(project.classes)[1] is not None


def test_picks_of_the_first_seed_are_always_on_the_map(project, monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 3)
    picks = pd.concat([picks_of("p00", "p10"), picks_of("p09", seed=1)])
    items = pool_map(project, made.plan_of(), picks).points["item"].tolist()
    assert {"p00", "p10"} <= set(items)
    assert len(items) <= 5


def test_an_embedding_that_is_not_there_is_refused(project):
    config = Config().with_settings([*made.FAST, "query.embedding=nowhere"])
    with pytest.raises(ConfigError, match="nowhere is neither a file"):
        pool_map(project, made.plan_of(config=config), picks_of("p00"))


@pytest.mark.slow
def test_tsne_is_another_plane_of_the_same_items(project, tmp_path):
    pytest.importorskip("openTSNE", reason="openTSNE is not here: pip install 'fewmasks[viz]'")
    config = Config().with_settings([*made.FAST, "query.map=tsne"])
    by_pca = pool_map(project, made.plan_of(), picks_of("p00"))
    pages = []
    for name in ("one", "two"):
        pool = pool_map(project, made.plan_of(config=config), picks_of("p00"))
        picks = picks_of("p00").assign(group="g0", reason="drawn")
        curve, _ = made_up_study(("random",))
        pages.append(write_report(tmp_path / name, curve, picks, {}, None, pool).read_bytes())
    assert pages[0] == pages[1]
    assert b"10 training items placed by t-SNE of the embedding by thumbnails" in pages[0]
    same = ["item", "group", "cluster", "class"]
    assert pool.points[same].equals(by_pca.points[same])
    assert not np.allclose(pool.points["x"], by_pca.points["x"])


def test_few_items_are_on_the_plane_of_pca_and_it_says_so(project, monkeypatch):
    monkeypatch.setattr(module, "MOST_POINTS", 3)
    config = Config().with_settings([*made.FAST, "query.map=tsne"])
    pool = pool_map(project, made.plan_of(config=config), picks_of("p00"))
    assert pool.method == "pca"


def test_every_arm_has_a_panel_with_its_picks_by_round(project):
    curve, _ = made_up_study(("random", "coreset"))
    picks = pd.concat([picks_of("p00", "p01"), picks_of("p02", "p03", "p04", strategy="coreset")])
    points = pool_map(project, made.plan_of(), picks).points
    figure = map_figure(points, picks, looks(curve), {"cell": "#ffb000"})
    titles = [note.text for note in figure.layout.annotations]
    assert titles == [*(f"each {name} in a colour" for name in MAP_COLOURINGS), "random", "coreset"]
    coloured = [trace for trace in figure.data if trace.marker.coloraxis]
    assert [list(trace.marker.color) for trace in coloured] == [[0, 1], [0, 1, 2]]
    assert set(figure.data[2].marker.color) == {"#ffb000"}


def test_names_from_files_are_no_markup(tmp_path):
    curve, _ = made_up_study(("random",))
    points = pd.DataFrame(
        {"item": ["<b>x"], "x": [0.0], "y": [0.0], "group": ["<script>"], "cluster": [0],
         "class": ["a&b"]}
    )  # fmt: skip
    figure = map_figure(points, picks_of("<b>x"), looks(curve), {})
    assert figure.data[0].text[0] == "&lt;b&gt;x<br>&lt;script&gt;<br>a&amp;b"
    assert figure.data[-1].text[0].startswith("round 0<br>&lt;b&gt;x")


@pytest.mark.slow
def test_the_page_says_what_the_map_is_and_stays_the_same(project, tmp_path):
    curve, _ = made_up_study(("random",))
    picks = picks_of("p00", "p01").assign(group="g0", reason="drawn")
    pages = []
    for name in ("one", "two"):
        pool = pool_map(project, made.plan_of(), picks)
        pages.append(write_report(tmp_path / name, curve, picks, {}, None, pool).read_bytes())
    assert pages[0] == pages[1]
    text = pages[0].decode()
    assert "10 training items on the two widest directions (PCA) of the embedding by thumb" in text
    without = write_report(tmp_path / "three", curve, picks, {}).read_text(encoding="utf-8")
    assert "Where the picks lie" not in without
