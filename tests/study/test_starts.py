"""Starts by the name of a method: a run that asks for another one than is there is refused."""

import json
import shlex
import shutil
from dataclasses import replace

import pytest
import torch
from safetensors.torch import load_file, save_file
from tests.study import made
from tests.study.test_series import STUDY, run

from fewmasks.config import METHODS, Config
from fewmasks.errors import ConfigError, ProjectError
from fewmasks.executors.local import map_here
from fewmasks.learn.starts import Origin, start_path, write_start
from fewmasks.nn.segmenter import segmenter
from fewmasks.pretrain.recipe import recipe
from fewmasks.project import open_project
from fewmasks.study.run import simulate
from fewmasks.study.starts import refuse_other_starts

MADE = ["learn.size=64", "pretrain.iterations=2", "pretrain.batch=4"]


@pytest.fixture(scope="module")
def made_once(tmp_path_factory):
    return made.pictures(tmp_path_factory.mktemp("starts")).folder


@pytest.fixture
def project(made_once, tmp_path):
    return open_project(shutil.copytree(made_once, tmp_path / "project"))


def give_start(project, method="byol", settings=tuple(MADE)):
    torch.manual_seed(0)
    config = Config().with_settings(list(settings))
    origin = Origin("unet", 1, "encoder", method, 2, 0, recipe(method, config, 1))
    path = start_path(project.folder, method)
    write_start(path, segmenter("unet", 1, 2), origin)
    return path


def plan_with(project, *settings, start="byol", embedding="model"):
    config = project.config.with_settings([*settings, f"query.embedding={embedding}"])
    return made.plan_of("random", starts=(start,), config=config)


def test_what_a_run_asks_for_must_have_made_its_start(project):
    path = give_start(project)
    plan = plan_with(project, "pretrain.iterations=30", "pretrain.epochs=none", "learn.size=32")
    with pytest.raises(ProjectError) as caught:
        refuse_other_starts(project, plan)
    assert str(caught.value) == (
        f"{path}: made with pretrain.iterations=2, but this run asks for 30; run `fewmasks "
        f"pretrain {project.folder} --method byol --set pretrain.iterations=30` again, or give the "
        f"file by its path as the start, which asks for nothing"
    )
    refuse_other_starts(project, replace(plan, starts=(str(path),)))
    as_embedding = plan_with(project, "pretrain.iterations=30", start="scratch", embedding="byol")
    with pytest.raises(ProjectError, match="asks for 30"):
        refuse_other_starts(project, as_embedding)


@pytest.mark.parametrize(
    "settings",
    [
        [],
        MADE,
        ["learn.size=128", "learn.flips=xy"],
        ["pretrain.method=cluster", "pretrain.relations={}", "pretrain.clusters=3"],
        ["pretrain.views=grey", "pretrain.strength=1"],
    ],
    ids=["nothing", "the same", "of trainings", "of other methods", "what defaults stand for"],
)
def test_what_a_run_does_not_ask_for_never_refuses_a_start(project, settings):
    give_start(project, settings=[*MADE, "pretrain.momentum=0.9"])
    refuse_other_starts(project, plan_with(project, *settings))


def test_what_stands_in_the_project_is_not_asked_for_by_a_run(project):
    give_start(project)
    (project.folder / "project.toml").write_text("[pretrain]\niterations = 30\n")
    again = open_project(project.folder)
    refuse_other_starts(again, plan_with(again))
    with pytest.raises(ProjectError, match="iterations=2, but this run asks for 500"):
        refuse_other_starts(again, plan_with(again, "pretrain.iterations=500"))


def test_settings_of_a_project_in_python_are_asked_for(project):
    give_start(project)
    project.config = Config().with_settings(["pretrain.iterations=30"])
    with pytest.raises(ProjectError, match="asks for 30"):
        refuse_other_starts(project, plan_with(project))


def test_a_start_of_an_older_version_is_taken(project):
    path = give_start(project)
    about = {"format": 1, "network": "unet", "channels": 1, "part": "encoder"}
    about |= {"method": "byol", "iterations": 2, "seed": 0}
    save_file(load_file(path), path, {"fewmasks": json.dumps(about)})
    refuse_other_starts(project, plan_with(project, "pretrain.iterations=30"))


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("first", ["pretrain.epochs=3", "pretrain.iterations=7"])
def test_the_command_that_is_named_makes_what_is_asked_for(project, method, first):
    give_start(project, method, [*MADE, "pretrain.epochs=9"])
    asked = [first, "pretrain.relations={volume=0.5}", "pretrain.spare_mates=false"]
    plan = plan_with(project, *asked, start=method)
    with pytest.raises(ProjectError) as caught:
        refuse_other_starts(project, plan)
    words = shlex.split(str(caught.value).split("`")[1])
    assert words[:5] == ["fewmasks", "pretrain", str(project.folder), "--method", method]
    give_start(project, method, words[6::2])
    refuse_other_starts(project, plan)


@pytest.mark.slow
def test_a_run_makes_the_start_that_it_asks_for_and_says_so(project, tmp_path):
    """Refused runs leave nothing; a run that asks for nothing takes the start, and names it."""
    config = Config().with_settings([*made.FAST, "pretrain.iterations=2", "pretrain.batch=4"])
    plan = made.plan_of("random", rounds=1, starts=("byol",), config=config)
    simulate(project, plan, tmp_path / "few", execute=map_here)
    many = replace(plan, config=config.with_settings(["pretrain.iterations=30"]))
    with pytest.raises(ProjectError, match="iterations=2, but this run asks for 30"):
        simulate(project, many, tmp_path / "many", execute=map_here)
    assert not (tmp_path / "many").exists()
    usual = replace(plan, config=Config().with_settings([*made.FAST, "learn.size=64"]))
    simulate(project, usual, tmp_path / "usual", execute=map_here)
    stored = json.loads((tmp_path / "usual" / "run.json").read_text())["made_with"]["byol"]
    assert stored["iterations"] == stored["settings"]["pretrain.iterations"] == 2
    report = (tmp_path / "usual" / "report.html").read_text()
    assert "byol: byol, 2 steps, learn.size=32, pretrain.batch=4" in report


@pytest.mark.slow
@pytest.mark.parametrize("settings", ["", "settings = ['pretrain.iterations=30']"])
def test_arms_that_ask_for_two_starts_of_one_name_are_refused_at_once(tmp_path, settings):
    made.write_pictures(tmp_path / "study")
    few = STUDY.partition("[[arm]]")[0].replace("seeds = 2", 'seeds = 1\nstarts = ["byol"]')
    few += "[[arm]]\nname = 'few'\nsettings = ['pretrain.iterations=2', 'pretrain.batch=4']\n"
    (tmp_path / "study.toml").write_text(few)
    run(tmp_path / "study.toml", tmp_path / "out")
    both = few + f"[[arm]]\nname = 'other'\n{settings}\n"
    for out in ("out", "new"):
        (tmp_path / "study.toml").write_text(both)
        with pytest.raises((ConfigError, ProjectError), match=r"pretrain\.\w+( is|=)"):
            run(tmp_path / "study.toml", tmp_path / out)
        assert not (tmp_path / out / "runs" / "pictures" / "other").exists()
    assert not (tmp_path / "new" / "runs").exists()
