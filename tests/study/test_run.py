"""Simulations: paired, exact, resumable, and refused before anything is spent."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from tests.makers import write_table
from tests.study import made
from tests.study.made import plan_of

from fewmasks.config import Config
from fewmasks.errors import ConfigError, MissingExtra, ProjectError
from fewmasks.executors.local import map_here
from fewmasks.learn import vaal
from fewmasks.learn.evidence import OFFERED
from fewmasks.learn.model import load_model
from fewmasks.learn.score import score
from fewmasks.learn.session import GENERAL, ORACLE
from fewmasks.loop.cost import outline
from fewmasks.loop.rounds import STANDING
from fewmasks.project import Import, create, open_project
from fewmasks.query.strategies import load_strategies
from fewmasks.query.strategy import Strategy
from fewmasks.study import run
from fewmasks.study.plan import SHARED, Unit, read_asked
from fewmasks.study.unit import true_classes

pytestmark = pytest.mark.slow

ROOT = Path(__file__).resolve().parents[2]
COMPUTED = {*STANDING, *OFFERED, GENERAL, ORACLE}
STRATEGIES = load_strategies()

simulate = partial(run.simulate, execute=map_here)
"""In this process: what workers change is tested once, below."""


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    return made.pictures(tmp_path_factory.mktemp("pictures"))


@pytest.fixture(scope="module")
def done(project, tmp_path_factory):
    """A finished simulation of two strategies and two seeds."""
    out = tmp_path_factory.mktemp("done") / "out"
    simulate(project, plan_of(seeds=2), out)
    return out


def files_of(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


# What comes out


def test_the_curve_has_the_columns_of_the_contract(done):
    header, first = (done / "curve.csv").read_text().splitlines()[:2]
    assert header == (
        "strategy,start,annotation,seed,round,items,seconds,dice,hd95,dice_background,dice_cell"
    )
    assert first.startswith("random,scratch,mask,0,0,2,120.000000,")


def test_every_strategy_seed_and_round_is_a_row_of_the_curve(done):
    curve = pd.read_csv(done / "curve.csv")
    keys = curve[["strategy", "seed", "round", "items", "seconds"]].to_numpy().tolist()
    assert keys == [
        [strategy, seed, number, 2 * (number + 1), 120.0 * (number + 1)]
        for seed in range(2)
        for strategy in ("random", "entropy")
        for number in range(3)
    ]
    assert curve[["dice", "dice_cell"]].notna().all(axis=None)
    np.testing.assert_array_equal(curve["dice"], curve["dice_cell"])  # background is left out


def test_the_picks_have_the_columns_of_the_contract(done, project):
    picks = pd.read_csv(done / "picks.csv")
    assert ",".join(picks) == "strategy,start,annotation,seed,round,order,item,group,reason"
    assert len(picks) == 2 * 2 * 3 * 2
    group_of = {item.id: item.group[0] for item in project.pool.items}
    assert [group_of[item] for item in picks["item"]] == picks["group"].tolist()
    assert picks["reason"].str.len().min() > 5
    assert picks["order"].tolist() == [0, 1] * 12


def test_no_test_item_and_no_item_twice(done, project):
    picks = pd.read_csv(done / "picks.csv")
    assert not set(picks["item"]) & set(project.pool.ids(project.test))
    assert not picks.duplicated(["strategy", "seed", "item"]).any()


def test_strategies_of_a_seed_share_the_start_set_and_seeds_do_not(done):
    picks = pd.read_csv(done / "picks.csv").query("round == 0")
    drawn = picks.groupby(["seed", "strategy"])["item"].agg(list)
    assert drawn[0, "random"] == drawn[0, "entropy"]
    assert drawn[1, "random"] == drawn[1, "entropy"]
    assert drawn[0, "random"] != drawn[1, "random"]
    first = pd.read_csv(done / "curve.csv").query("round == 0")
    assert (first.groupby("seed")["dice"].nunique() == 1).all()


def test_the_frame_says_what_the_file_says(project, done):
    frame = simulate(project, plan_of(seeds=2), done)
    stored = pd.read_csv(done / "curve.csv")
    pd.testing.assert_frame_equal(frame, stored, atol=1e-6)


@pytest.mark.slow
def test_volumes_are_simulated_slice_by_slice(tmp_path):
    project = made.volumes(tmp_path)
    curve = simulate(project, plan_of("random", "strided"), tmp_path / "out")
    assert curve["dice"].notna().all()
    picks = pd.read_csv(tmp_path / "out" / "picks.csv")
    assert picks["item"].str.fullmatch(r"v[012]_z[012]").all()


def test_scribbles_cost_a_fifteenth(project, tmp_path):
    curve = simulate(
        project, plan_of("random", rounds=2, annotations=("scribble",)), tmp_path / "out"
    )
    assert curve["seconds"].tolist() == [8.0, 16.0]
    assert set(curve["annotation"]) == {"scribble"}


@pytest.mark.slow
def test_starts_and_annotations_are_crossed_and_share_the_start_set(project, tmp_path):
    """What is not pre-trained yet is pre-trained first, once."""
    fast = Config().with_settings([*made.FAST, "pretrain.iterations=2", "pretrain.batch=4"])
    crossed = {"starts": ("scratch", "byol"), "annotations": ("mask", "scribble")}
    plan = plan_of("random", rounds=2, config=fast, **crossed)
    heard = []
    curve = simulate(
        project, plan, tmp_path / "out", report=lambda what, done, of: heard.append(what)
    )
    arms = set(curve[["start", "annotation"]].itertuples(index=False, name=None))
    assert arms == {(start, kind) for start in plan.starts for kind in plan.annotations}
    picks = pd.read_csv(tmp_path / "out" / "picks.csv")
    first = picks[picks["round"] == 0].groupby(["start", "annotation"])["item"].apply(tuple)
    assert first.nunique() == 1
    assert "pre-training with byol" in heard
    assert any(
        what.startswith("seed 0, random, from byol, with scribble: round 1") for what in heard
    )
    weights = project.folder / "starts" / "byol.safetensors"
    before = weights.read_bytes()
    weights.write_bytes(before[:-4] + b"\0\0\0\1")
    with pytest.raises(ProjectError, match="the weights are others than when"):
        simulate(project, plan, tmp_path / "out")
    weights.write_bytes(before)
    assert simulate(project, plan, tmp_path / "out").equals(curve)


def test_how_the_report_is_drawn_is_not_what_was_run(project, done, tmp_path, monkeypatch):
    """Another map needs no other folder; without its package it is refused before the work."""
    out = shutil.copytree(done, tmp_path / "out")
    config = Config().with_settings([*made.FAST, "query.map=tsne"])
    plan = plan_of(seeds=2, config=config)
    assert run.default_out(project, plan) == run.default_out(project, plan_of(seeds=2))
    drawn = []
    monkeypatch.setattr(
        "fewmasks.study.pool_map.tsne_plane",
        lambda points, seed: drawn.append(seed) or points[:, :2],
    )
    (out / "report.html").unlink()
    simulate(project, plan, out)
    assert drawn == [0]
    monkeypatch.setattr("fewmasks.study.plane.find_spec", lambda name: None)
    with pytest.raises(MissingExtra, match="viz"):
        simulate(project, plan, tmp_path / "other")


def test_labels_of_people_do_not_leak_into_a_simulation(project, done, tmp_path):
    copy = open_project(shutil.copytree(project.folder, tmp_path / "project"))
    items = project.pool.ids(project.train)
    from fewmasks.types import Label

    copy.add_labels([Label(i, "mask", np.ones((32, 32), np.uint8), 9.0, "ann") for i in items])
    simulate(copy, plan_of(seeds=2), tmp_path / "out")
    assert (tmp_path / "out" / "curve.csv").read_bytes() == (done / "curve.csv").read_bytes()


def test_the_truth_is_what_the_masks_hold(project):
    table = true_classes(project)
    for row, item in enumerate(project.pool.items):
        assert table[row].tolist() == [c in project.reference(item) for c in range(2)]


# Every strategy


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", [s.name for s in STRATEGIES.values() if set(s.needs) <= COMPUTED]
)  # fmt: skip
def test_a_strategy_runs_to_the_end(name, project, tmp_path, monkeypatch):
    monkeypatch.setattr(vaal, "STEPS", 3)
    curve = simulate(project, plan_of(name), tmp_path / "out")
    assert len(curve) == 3
    assert pd.read_csv(tmp_path / "out" / "picks.csv")["item"].nunique() == 6


def test_a_strategy_whose_evidence_nobody_computes_is_refused_before_anything(
    project, tmp_path, monkeypatch
):
    seer = Strategy("seer", lambda unlabelled, future, limit: unlabelled[:limit], reference="")
    monkeypatch.setattr(run, "load_strategies", lambda: {"seer": seer})
    with pytest.raises(ConfigError, match=r"--strategy: seer needs future, .*does not compute"):
        simulate(project, plan_of("seer"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
@pytest.mark.parametrize("score", ["margin", "bald", "variance"])
def test_any_score_may_go_by_the_name_of_uncertainty(score, project, tmp_path):
    config = Config().with_settings([*made.FAST, f"query.uncertainty={score}"])
    assert len(simulate(project, plan_of("suggestive", config=config), tmp_path / "out")) == 3


def test_a_cap_on_groups_holds_in_every_round(project, tmp_path):
    config = Config().with_settings([*made.FAST, "query.group_cap=1"])
    simulate(project, plan_of(config=config), tmp_path / "out")
    picks = pd.read_csv(tmp_path / "out" / "picks.csv")
    assert not picks.duplicated(["strategy", "seed", "round", "group"]).any()


# Again, and after a break


def test_the_same_plan_gives_the_same_bytes(project, done, tmp_path):
    simulate(project, plan_of(seeds=2), tmp_path / "out")
    for name in ("curve.csv", "picks.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()


def test_a_finished_folder_is_left_as_it_is(project, done):
    before = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != ".lock"}
    began = time.perf_counter()
    simulate(project, plan_of(seeds=2), done)
    assert time.perf_counter() - began < 2
    after = {path: path.stat().st_mtime_ns for path in done.rglob("*") if path.name != ".lock"}
    assert after == before


def test_a_finished_folder_holds_no_models(done):
    assert not list(done.rglob("*.safetensors"))


@pytest.mark.slow
@pytest.mark.parametrize("rounds", [1, 2])
def test_models_of_the_last_round_are_kept_when_asked(rounds, project, tmp_path):
    plan = plan_of("random", "strided", rounds=rounds, keep_models=True)
    simulate(project, plan, tmp_path / "out")
    kept = sorted(path.parent.name for path in (tmp_path / "out").rglob("*.safetensors"))
    assert kept == (["start set"] if rounds == 1 else ["random", "strided"])
    for path in (tmp_path / "out").rglob("*.safetensors"):
        model = load_model(path)
        assert model.card.n_labels == 2 * rounds
        scored = json.loads(path.with_name(f"{rounds - 1:02d}-scored.json").read_text())
        known = project.test[project.has_reference[project.test]]
        assert score(model, project, known).dice == pytest.approx(scored["dice"])
    with pytest.raises(ProjectError, match="holds a run with another keep_models"):
        simulate(project, replace(plan, keep_models=False), tmp_path / "out")


@pytest.mark.slow
@pytest.mark.parametrize("lost", ["01-asked", "01-scored", "02-asked", "02-scored", "00-scored"])
def test_lost_records_are_made_again_the_same(lost, project, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "curve.csv").unlink()
    for path in out.rglob(f"{lost}.json"):
        path.unlink()
        path.with_name(lost.replace("asked", "scored") + ".json").unlink(missing_ok=True)
    simulate(project, plan_of(seeds=2), out)
    for name in ("curve.csv", "picks.csv"):
        assert (out / name).read_bytes() == (done / name).read_bytes()


def test_lost_results_are_written_again(project, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "picks.csv").unlink()
    simulate(project, plan_of(seeds=2), out)
    assert (out / "picks.csv").read_bytes() == (done / "picks.csv").read_bytes()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["01-asked.json", "02-scored.json"])
@pytest.mark.parametrize("content", [b"", b'{"numb', b"\xff\xfe", b"[1]"])
def test_a_damaged_record_is_named(name, content, project, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    damaged = out / "rounds" / "seed-1" / "scratch-mask" / "entropy" / name
    damaged.write_bytes(content)
    with pytest.raises(ProjectError, match=rf"{damaged}: damaged.*delete {damaged.parent}"):
        simulate(project, plan_of(seeds=2), out)
    shutil.rmtree(damaged.parent)
    simulate(project, plan_of(seeds=2), out)
    assert files_of(out).keys() == files_of(done).keys()


@pytest.mark.parametrize("content", [b"", b"{}", b"[]"])
def test_a_damaged_plan_is_named(content, project, done, tmp_path):
    out = shutil.copytree(done, tmp_path / "out")
    (out / "run.json").write_bytes(content)
    with pytest.raises(ProjectError, match=r"run\.json: (damaged|no record of a simulation)"):
        simulate(project, plan_of(seeds=2), out)


def nothing(what, done, of):
    """A report that nobody hears."""


def test_precision_and_threads_are_settled_once(project, done, tmp_path):
    stored = json.loads((done / "run.json").read_text())
    assert stored["config"]["learn"]["precision"] == "fp32"
    assert stored["threads"] == 1  # as many as torch takes in this process, over four chains
    config = Config().with_settings([*made.FAST, "learn.precision=auto"])
    agreed = run._agree(project, plan_of(config=config), tmp_path, nothing, None)
    assert agreed.config.learn.precision in ("fp32", "bf16")
    assert run._agree(project, plan_of(config=config), tmp_path, nothing, None) == agreed


def test_the_report_names_all_that_took_part_and_all_that_was_set(
    project, done, tmp_path, monkeypatch
):
    """A run that goes on elsewhere is not refused: its record has both machines, once each."""
    settings = [*made.FAST, "query.uncertainty=margin", "cost.seconds_per_mask=90"]
    config = Config().with_settings([*settings, "pretrain.relations={volume=0.5}"])
    out, plan = tmp_path / "out", plan_of("random", rounds=2, config=config)
    simulate(project, plan, out, command="fewmasks simulate 'my heart'")
    first = json.loads((out / "run.json").read_text())
    assert "later" not in first
    newer = {name: f"9.{name}" for name in first["versions"]}
    monkeypatch.setattr(run, "version", newer.get)
    monkeypatch.setattr(run, "cores", lambda: 99)
    for _ in range(2):
        next(out.rglob("random/01-scored.json")).unlink()
        simulate(project, plan, out, command="another")
    stored = json.loads((out / "run.json").read_text())
    assert [later["versions"] for later in stored["later"]] == [newer]
    page = (out / "report.html").read_text()
    for words in (
        f"; {first['machine']}, then ",
        "99 cores;",
        f"torch: {first['versions']['torch']}, then 9.torch",
        "<dd>fewmasks simulate &#x27;my heart&#x27;</dd>",
        "query.uncertainty=margin, cost.seconds_per_mask=90",
        "pretrain.relations={volume=0.5}",
    ):
        assert words in page


# What is refused


def names(value) -> str:
    """Short names of cases: what changes, not to what."""
    return "" if isinstance(value, str) else ",".join(value)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"rounds": 4}, "another rounds (3, now 4)"),
        ({"limit": 1}, "another limit (2, now 1)"),
        ({"annotations": ("scribble",)}, "another annotations (mask, now scribble)"),
        ({"starts": ("byol",)}, "another starts (scratch, now byol)"),
        ({"strategies": ("random",)}, "another strategies (random,entropy, now random)"),
        (
            {"config": Config().with_settings([*made.FAST, "learn.batch=3"])},
            "another config.learn.batch (4, now 3)",
        ),
    ],
    ids=names,
)
def test_another_plan_in_the_same_folder_is_refused(changes, words, project, done):
    before = files_of(done)
    with pytest.raises(ProjectError) as caught:
        simulate(project, replace(plan_of(seeds=2), **changes), done)
    assert words in str(caught.value)
    assert "choose another --out" in str(caught.value)
    assert files_of(done) == before


def test_another_project_in_the_same_folder_is_refused(project, done, tmp_path):
    copy = open_project(shutil.copytree(project.folder, tmp_path / "project"))
    copy.skip(["p00"], "blurred")
    with pytest.raises(ProjectError, match="another state of the project"):
        simulate(copy, plan_of(seeds=2), done)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"strategies": ("guess",)}, "--strategy: no strategy 'guess'"),
        ({"strategies": ("random", "random")}, "--strategy: random is named twice"),
        ({"strategies": ()}, "--strategy: none is named"),
        ({"rounds": 0}, "--rounds: must be at least 1 (0)"),
        ({"limit": 0}, "--limit: must be at least 1 (0)"),
        ({"seeds": 0}, "--seeds: must be at least 1 (0)"),
        ({"starts": ("moco",)}, "--start: moco is neither a file nor one of scratch, byol"),
        ({"limit": 11}, "--limit: 11 items a round, but the training side has 10"),
        ({"rounds": 6}, "--rounds: 6 rounds of 2 are 12 items, but the training side has 10; "
                        "ask for --rounds 5 or --limit 1 at most"),
        (
            {"strategies": ("suggestive",), "config": Config().with_settings(
                [*made.FAST, "query.uncertainty=doubt"])},
            "query.uncertainty: there is no score 'doubt'; known: entropy, margin",
        ),
    ],
    ids=names,
)  # fmt: skip
def test_what_would_fail_in_the_middle_is_refused_at_once(changes, words, project, tmp_path):
    with pytest.raises(ConfigError) as caught:
        simulate(project, replace(plan_of(), **changes), tmp_path / "out")
    assert words in str(caught.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_a_whole_pool_can_be_asked_for(project, tmp_path):
    curve = simulate(project, plan_of(rounds=5, limit=2), tmp_path / "out")
    assert curve["items"].max() == 10


def test_skipped_items_are_not_in_the_pool(project, tmp_path):
    copy = open_project(shutil.copytree(project.folder, tmp_path / "project"))
    copy.skip(["p00"], "blurred")
    with pytest.raises(ConfigError, match="the training side has 9"):
        simulate(copy, plan_of(rounds=5), tmp_path / "out")
    simulate(copy, plan_of(rounds=3, limit=3), tmp_path / "out")
    assert "p00" not in set(pd.read_csv(tmp_path / "out" / "picks.csv")["item"])


def project_without(folder: Path, *lacking: tuple[str, str]):
    """The study without some files: pairs of an item and a column."""
    table = made.write_pictures(folder / "study")
    rows = pd.read_csv(table, dtype=str)
    for item, column in lacking:
        rows.loc[rows["id"] == item, column] = ""
    write_table(table, rows.to_dict("records"))
    return create(folder / "project", Import(table=table, classes=made.CLASSES))


ALL = [f"p{k:02d}" for k in range(12)]


@pytest.mark.parametrize(
    ("lacking", "annotation", "words"),
    [
        ([(item, "mask") for item in ALL], "mask", "no reference masks on the test side"),
        ([("p03", "mask")], "mask", "p03: no reference mask"),
        ([("p04", "scribble"), ("p04", "mask")], "scribble", "p04: neither a reference scribble"),
    ],
    ids=["no mask", "one mask lacks", "one has neither"],
)
def test_an_oracle_without_answers_is_refused(lacking, annotation, words, tmp_path):
    project = project_without(tmp_path, *lacking)
    with pytest.raises(ProjectError, match=words):
        simulate(project, plan_of(annotations=(annotation,)), tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_scribbles_that_were_not_given_are_drawn_in_the_masks(tmp_path):
    project = project_without(tmp_path, *((item, "scribble") for item in ALL))
    curve = simulate(project, plan_of("random", annotations=("scribble",)), tmp_path / "out")
    assert curve["dice"].notna().all()


def test_test_items_without_reference_do_not_count(tmp_path):
    project = project_without(tmp_path, ("p05", "mask"))
    assert simulate(project, plan_of("random"), tmp_path / "out")["dice"].notna().all()


def test_two_at_once_in_one_folder_are_refused(project, tmp_path):
    with run._alone(tmp_path), pytest.raises(ProjectError, match="another simulation is writing"):
        simulate(project, plan_of(), tmp_path)


def test_every_plan_has_a_folder_of_its_own(project):
    one = run.default_out(project, plan_of())
    assert one == run.default_out(project, plan_of(threads=5))
    assert one != run.default_out(project, plan_of(rounds=2))
    assert one.parent == project.folder / "simulations"


# Processes

PROGRAM = """
import sys
from pathlib import Path
from tests.study.made import plan_of
from fewmasks.project import open_project
from fewmasks.study.run import simulate
if __name__ == "__main__":
    project, out, workers = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
    simulate(open_project(project), plan_of(seeds=2), out, workers)
"""


def start(project, out: Path, workers: int = 2) -> subprocess.Popen[str]:
    command = [sys.executable, "-c", PROGRAM, str(project.folder), str(out), str(workers)]
    return subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True)


@pytest.mark.slow
@pytest.mark.parametrize("workers", [1, 2])
def test_workers_do_not_change_a_byte(workers, project, done, tmp_path):
    child = start(project, tmp_path / "out", workers)
    _, error = child.communicate()
    assert child.returncode == 0, error
    for name in ("curve.csv", "picks.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()


def finish_after_kills(project, out: Path, kills: int, seed: int) -> int:
    """Kill -9 the parent alone at random moments, then let it finish; how many kills hit."""
    rng = np.random.default_rng(seed)
    hits = 0
    for _ in range(kills):
        child = start(project, out)
        records = len(list(out.rglob("*.json")))
        end, more = time.monotonic() + 120, int(rng.integers(0, 5))
        while time.monotonic() < end and child.poll() is None:
            if len(list(out.rglob("*.json"))) >= records + more:
                break
            time.sleep(0.01)
        time.sleep(float(rng.random()) * 0.3)
        hits += child.poll() is None
        os.kill(child.pid, signal.SIGKILL)
        child.communicate()
    child = start(project, out)
    _, error = child.communicate()
    assert child.returncode == 0, error
    return hits


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_in_the_same_curve(project, done, tmp_path):
    hits = finish_after_kills(project, tmp_path / "out", kills=4, seed=0)
    assert hits > 0
    for name in ("curve.csv", "picks.csv"):
        assert (tmp_path / "out" / name).read_bytes() == (done / name).read_bytes()
    assert not list((tmp_path / "out").rglob("*.tmp"))


def test_only_what_a_run_left_itself_is_swept(project, done, tmp_path):
    """A working folder as --out: what other programs, and other folders, hold there stays."""
    out = shutil.copytree(done, tmp_path / "out")
    unit = out / "rounds" / "seed-1" / "scratch-mask" / "entropy"
    ours = [unit / ".02-scored.json.71-72.tmp", out / ".curve.csv.71-72.tmp"]
    theirs = [
        out / ".notes.tmp",
        out / ".figure.png.71-72.tmp",
        out / "paper" / ".draft.tex.71-72.tmp",
        out / "rounds" / "mine" / ".curve.csv.71-72.tmp",
        unit / ".swap.tmp",
    ]
    for path in (*ours, *theirs):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    (unit / "02-scored.json").unlink()
    simulate(project, plan_of(seeds=2), out)
    assert [path for path in ours if path.exists()] == []
    assert [path for path in theirs if not path.exists()] == []


def test_the_records_of_a_unit_are_its_rounds(done, project):
    unit = Unit(project.folder, done, plan_of(seeds=2), "entropy", 1)
    assert unit.is_finished
    assert [read_asked(unit, number).number for number in unit.numbers] == [1, 2]
    assert read_asked(unit.shared, 0).strategy == "random"
    assert unit.shared.strategy == SHARED


def test_either_kind_is_chosen_by_what_the_model_sees_and_goes_on_alike(tmp_path):
    """A scribble is worth it where the model sees any border; at first it has seen nothing."""
    project = made.pictures(tmp_path)
    prices = ["seconds_per_mask=1", "seconds_per_border=1", "scribble_worth=0.05"]
    settings = [*made.FAST, *(f"cost.{price}" for price in prices)]
    changes = {"annotations": ("either",), "config": Config().with_settings(settings)}
    plan, out = plan_of("random", **changes), tmp_path / "out"
    curve = simulate(project, plan, out)
    kinds = {}
    for path in out.rglob("*-kinds.json"):
        kinds.setdefault(path.parent.name, {}).update(json.loads(path.read_text()))
    assert set(kinds[SHARED].values()) == {"mask"}
    assert len(kinds["random"]) == 4
    assert set(kinds["random"].values()) <= {"mask", "scribble"}
    first = project.pool.at(project.pool.rows(kinds[SHARED]))
    borders = [outline(project.reference(item), [0]).border for item in first]
    assert curve.loc[0, "seconds"] == pytest.approx(sum(1 + border for border in borders))
    for path in out.rglob("random/02-*"):
        path.unlink()
    pd.testing.assert_frame_equal(simulate(project, plan, out), curve)


def test_either_kind_needs_a_worth(tmp_path):
    project = made.pictures(tmp_path)
    plan = made.plan_of("random", annotations=("either",))
    with pytest.raises(ConfigError, match=r"either needs the setting cost.scribble_worth"):
        simulate(project, plan, tmp_path / "out")


@pytest.mark.slow
def test_a_watershed_costs_a_look_and_teaches_what_somebody_let_pass(tmp_path):
    """The pictures hold bright squares, which a watershed finds; of noise nothing is let pass."""
    project = made.pictures(tmp_path)
    settings = [*made.FAST, "learn.iterations=60", "cost.seconds_per_skip=2"]
    changes = {"annotations": ("watershed",), "config": Config().with_settings(settings)}
    curve = simulate(project, plan_of("random", **changes), tmp_path / "out")
    assert curve["seconds"].tolist() == [4, 8, 12]
    assert curve["annotation"].unique().tolist() == ["watershed"]
    assert curve["dice"].iloc[-1] > 0.5


def test_a_watershed_needs_one_class_before_a_background(tmp_path):
    table = made.write_pictures(tmp_path / "study")
    project = create(tmp_path / "project", Import(table=table, classes=("cell", "ground")))
    plan = made.plan_of("random", annotations=("watershed",))
    with pytest.raises(ConfigError, match="objects of one class before a class called background"):
        simulate(project, plan, tmp_path / "out")
