"""The commands: what they print, what they refuse, and with which exit status."""

import json
import os
import pty
import re
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.makers import write_picture
from tests.study import made

from fewmasks.cli.main import app, run
from fewmasks.project import open_project

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-c", "from fewmasks.cli.main import main; main()"]
FAST = [word for setting in made.FAST for word in ("--set", setting)]


def say(capsys, *words) -> tuple[int, str, str]:
    """Exit status, stdout and stderr of a command run in this process."""
    capsys.readouterr()
    status = run(app, [str(word) for word in words])
    out, err = capsys.readouterr()
    return status, out, err


def done(capsys, *words) -> str:
    status, out, err = say(capsys, *words)
    assert status == 0, err
    return out


def shell(*words, **options):
    return subprocess.run(
        [*PROGRAM, *map(str, words)], cwd=ROOT, capture_output=True, text=True, check=False,
        **options,
    )  # fmt: skip


@pytest.fixture(scope="module")
def standing(tmp_path_factory):
    """A project with an open round; no command below changes it."""
    folder = tmp_path_factory.mktemp("standing")
    project = made.pictures(folder)
    (folder / "empty").mkdir()
    (folder / "file.txt").write_text("words")
    write_picture(folder / "masks" / "p00.png", made.blob(0)[1])
    write_picture(folder / "zebra.png", made.blob(0)[1])
    assert run(app, ["next", str(project.folder), "--strategy", "random", "--limit", "2"]) == 0
    return folder


# Mistakes

MISTAKES = {
    "no command": ("nonsense", "nonsense"),
    "no project": ("info {f}/nowhere", "{f}/nowhere: not a fewmasks project"),
    "no project to train": ("train {f}/nowhere", "not a fewmasks project"),
    "no project to label": ("label {f}/nowhere --from x", "not a fewmasks project"),
    "no project to predict": ("predict {f}/nowhere --images x --out y", "not a fewmasks project"),
    "no argument": ("info", "Missing argument"),
    "unknown option": ("info {p} --jso", "--jso"),
    "no number": ("next {p} --limit many", "--limit"),
    "no images": ("create {f}/new", "neither --images nor --table are given"),
    "images and table": ("create {f}/new --images a --table b", "both --images and --table"),
    "missing images": ("create {f}/new --images {f}/nowhere", "no such file or folder"),
    "class without name": ("create {f}/new --images {f}/study/images --classes a,b,", "(a,b,)"),
    "classes of nothing": ("create {f}/new --images {f}/study/images --classes=", "an empty name"),
    "missing table": ("create {f}/new --table {f}/no.csv", "no such file"),
    "empty folder": ("create {f}/new --images {f}/empty", "no image files"),
    "project exists": ("create {p} --images {f}/study/images", "exists and is not empty"),
    "odd grouping": ("create {f}/new --images {f}/study/images --group-by x", "only `id` is known"),
    "open round": ("next {p}", "2 items of the last round are still open"),
    "both sources": ("label {p} --from {f}/masks --from-reference", "give one of --from PATH"),
    "no source": ("label {p}", "give one of --from PATH"),
    "skip and source": ("label {p} --skip p00 --from {f}/masks", "give one of --from PATH"),
    "unknown item": ("label {p} --skip p99", "no item is called 'p99'"),
    "unknown item with file": ("label {p} --from {f}/masks --items p99", "no item is called 'p99'"),
    "missing masks": ("label {p} --from {f}/nowhere", "no such file or folder"),
    "no masks": ("label {p} --from {f}/empty", "named like an item"),
    "strange mask": ("label {p} --from {f}/zebra.png", "named like an item"),
    "wrong kind": ("label {p} --from {f}/masks --kind dots", "--kind"),
    "no labels": ("train {p}", "no labels yet"),
    "misspelt setting": ("train {p} --set learn.iteration=5", "did you mean 'iterations'?"),
    "misspelt section": ("train {p} --set lern.size=64", "did you mean 'learn'?"),
    "wrong setting": ("train {p} --set learn.size=big", "learn.size"),
    "no setting": ("train {p} --set size", "section.key=value"),
    "no model": ("predict {p} --images {f}/study/images --out {f}/out", "no trained model"),
    "unknown strategy": ("simulate {p} --strategy guess", "no strategy 'guess'"),
    "pool too small": ("simulate {p} --strategy random --limit 5", "5 rounds of 5 are 25 items"),
    "round of nothing": ("simulate {p} --strategy random --limit 0", "--limit: must be at least 1"),
    "unknown start": ("simulate {p} --strategy random --start moco", "--start: moco is neither"),
    "unknown kind": ("simulate {p} --strategy random --annotation x", "--annotation: no kind 'x'"),
    "start of no training": ("train {p} --start byol", "nothing is pre-trained with byol"),
    "out is a file": (
        "simulate {p} --strategy random --limit 1 --out {f}/file.txt", "{f}/file.txt: ",
    ),
    "unknown citation": ("cite guess", "no strategy 'guess'"),
}  # fmt: skip


@pytest.mark.parametrize(("words", "expected"), MISTAKES.values(), ids=MISTAKES)
def test_a_mistake_is_one_line_and_status_two(words, expected, standing, capsys):
    places = {"f": standing, "p": standing / "project"}
    status, out, err = say(capsys, *(word.format(**places) for word in words.split()))
    assert status == 2, out + err
    assert out == ""
    assert err.startswith("fewmasks: ")
    assert expected.format(**places) in err
    assert err.count("\n") == 1
    assert "Traceback" not in err


@pytest.mark.slow
def test_a_mistake_is_the_same_from_the_shell(standing):
    for words in (["info", standing / "nowhere"], ["info"]):
        found = shell(*words)
        assert found.returncode == 2
        assert found.stdout == ""
        assert len(found.stderr.splitlines()) == 1


def test_a_choice_of_two_is_refused_before_anything_is_read(standing, tmp_path, capsys):
    project = made.pictures(tmp_path).folder
    status, _, err = say(capsys, "next", project, "--limit", 2, "--minutes", 5)
    assert (status, err.count("\n")) == (2, 1)
    assert "both --limit and --minutes" in err
    status, _, err = say(capsys, "next", project, "--limit", 0)
    assert (status, "--limit: must be at least 1 (0)" in err) == (2, True)


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is forbidden to root")
def test_a_forbidden_folder_is_a_sentence(tmp_path, capsys):
    made.write_pictures(tmp_path / "study")
    (tmp_path / "locked").mkdir(mode=0o500)
    words = ["create", tmp_path / "locked" / "new", "--table", tmp_path / "study" / "meta.csv"]
    status, _, err = say(capsys, *words)
    assert (status, "permission denied" in err) == (2, True)


@pytest.fixture
def locked(tmp_path):
    """A project where nothing may be written, and the words that make root obey."""
    unable = ["setpriv", "--bounding-set=-all", "--inh-caps=-all"]
    if os.geteuid() == 0 and shutil.which("setpriv") is None:
        pytest.skip("nothing is forbidden to root")
    folder = tmp_path / "a ? of #1"  # means something in a URL
    project = made.pictures(folder).folder
    places = [project, *project.rglob("*")]
    for place in places:
        place.chmod(0o500)
    yield project, unable if os.geteuid() == 0 else []
    for place in places:
        place.chmod(0o700)


def test_a_project_that_may_not_be_written_is_a_sentence(locked, tmp_path):
    project, unable = locked
    for words in (["next", project], ["export", project, "--format", "masks", "--out", tmp_path]):
        command = [*unable, *PROGRAM, *map(str, words)]
        found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr
        assert found.stderr.startswith(f"fewmasks: {project}: its database cannot be written")


@pytest.mark.parametrize("option", [(), ("--json",), ("--items",)])
def test_a_project_that_may_not_be_written_still_says_where_it_stands(option, locked, capsys):
    project, unable = locked
    command = [*unable, *PROGRAM, "info", str(project), *option]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr) == (0, "")
    assert found.stdout == done(capsys, "info", project, *option)


def test_a_project_that_may_not_be_read_is_a_sentence(locked):
    project, unable = locked
    (project / "project.db").chmod(0)
    command = [*unable, *PROGRAM, "info", str(project)]
    found = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (found.returncode, found.stderr.count("\n")) == (2, 1), found.stderr
    assert "project.db: permission denied" in found.stderr


def test_a_fault_of_ours_keeps_its_traceback():
    def broken(args, **options):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        run(broken, [])


@pytest.mark.parametrize("number", [2, 5])
def test_an_error_of_the_system_that_we_cannot_explain_keeps_its_traceback(number):
    def broken(args, **options):
        raise OSError(number, "strange")

    with pytest.raises(OSError, match="strange"):
        run(broken, [])


def test_a_full_disk_is_a_sentence(capsys):
    def full(args, **options):
        raise OSError(28, "No space left on device", "/data/x")

    assert run(full, []) == 2
    assert capsys.readouterr().err.startswith("fewmasks: /data/x: the disk is full; make room")


# Help


@pytest.mark.parametrize("words", [["--help"], ["-h"], ["simulate", "--help"], ["--version"]])
def test_help_is_help(words, capsys):
    out = done(capsys, *words)
    assert "fewmasks" in out


def test_no_words_are_a_call_for_help():
    assert shell().stdout == shell("--help").stdout


@pytest.mark.parametrize("command", ["strategies", "formats", "cite"])
def test_lists_are_printed(command, capsys):
    assert len(done(capsys, command).splitlines()) > 5


def test_a_reader_who_has_had_enough_is_no_error():
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*PROGRAM, "strategies"], cwd=ROOT, **pipes) as writer:
        writer.stdout.close()
        assert writer.stderr.read() == b""
    assert writer.returncode == 1


# A project's life


def test_info_says_where_it_stands(standing, capsys):
    out = done(capsys, "info", standing / "project")
    assert "12 items, classes background, cell" in out
    assert "train  10 items of 5 groups" in out
    assert "rounds 1, 2 items open" in out
    assert f"next: label the 2 chosen items: fewmasks serve {standing / 'project'} (or" in out


def test_info_as_json_is_the_summary(standing, capsys):
    found = json.loads(done(capsys, "info", standing / "project", "--json"))
    assert found == json.loads(json.dumps(open_project(standing / "project").summary()))


def test_info_names_the_items(standing, capsys):
    lines = done(capsys, "info", standing / "project", "--items").split("\n")
    assert lines[0].split("\t") == ["p00", "train", ""]
    assert lines[5].split("\t") == ["p05", "test", ""]
    found = json.loads(done(capsys, "info", standing / "project", "--items", "--json"))
    assert [item for item, _, _ in found] == [f"p{k:02d}" for k in range(12)]


def test_the_round_as_json(tmp_path, capsys):
    project = made.pictures(tmp_path)
    status, out, err = say(
        capsys, "next", project.folder, "--strategy", "entropy", "--limit", 2, "--json"
    )
    assert status == 0
    found = json.loads(out)
    assert (found["round"], found["strategy"]) == (0, "random")
    assert [set(pick) for pick in found["picks"]] == [
        {"item", "reason", "audit", "control", "readings"}
    ] * 2
    assert "this first round is random" in err


def test_skipped_items_are_not_asked_for_again(tmp_path, capsys):
    project = made.pictures(tmp_path)
    out = done(capsys, "label", project.folder, "--skip", "p00", "--skip", "p01")
    assert "not asked for again: p00, p01" in out
    assert "skipped 2 items" in done(capsys, "info", project.folder)
    lines = done(capsys, "info", project.folder, "--items").split("\n")
    assert lines[0].split("\t")[2] == "skipped"


@pytest.mark.slow
def test_a_project_from_start_to_end(tmp_path, capsys):
    made.write_pictures(tmp_path / "study")
    study, project = tmp_path / "study", tmp_path / "project"
    out = done(
        capsys, "create", project, "--images", study / "images", "--masks", study / "masks",
        "--classes", "background,cell", "--test-fraction", 0.25,
    )  # fmt: skip
    assert "groups were drawn as the test side" in out
    assert f"next: choose the next items to label: fewmasks next {project}" in out

    out = done(capsys, "next", project, "--limit", 3)
    assert "round 0, random: label these 3 items" in out
    asked = re.findall(r"^  (p\d\d)  drawn at random", out, re.MULTILINE)
    assert len(asked) == 3
    for item in asked:
        write_picture(tmp_path / "drawn" / f"{item}.png", made.blob(int(item[1:]))[1])
    out = done(capsys, "label", project, "--from", tmp_path / "drawn", "--by", "me")
    assert "3 labels stored" in out
    assert "next: train on the 3 labels" in out

    out = done(capsys, "train", project, *FAST)
    assert re.search(r"trained; Dice \d\.\d{4}, HD95", out)
    assert "score  Dice" in done(capsys, "info", project)
    out = done(capsys, "next", project, "--limit", 2, "--strategy", "margin", *FAST)
    assert "round 1, margin" in out
    for item in re.findall(r"^  (p\d\d)  ", out, re.MULTILINE):
        write_picture(tmp_path / "more" / f"{item}.png", made.blob(int(item[1:]))[1])
    done(capsys, "label", project, "--from", tmp_path / "more")
    done(capsys, "label", project, "--from-reference")
    out = done(capsys, "train", project, *FAST)
    assert "every item is labelled; use the model" in done(capsys, "info", project)
    out = done(capsys, "predict", project, "--images", study / "images", "--out", tmp_path / "out")
    assert "12 masks written" in out
    assert len(list((tmp_path / "out").glob("*.png"))) == 12


@pytest.mark.slow
def test_a_training_on_scribbles_says_what_becomes_of_blank_pixels(tmp_path, capsys):
    project = made.pictures(tmp_path).folder
    for name in ("p00", "p01"):
        mask = made.scribble_of(made.blob(int(name[1:]))[1])
        write_picture(tmp_path / "drawn" / f"{name}.png", mask)
    done(capsys, "label", project, "--from", tmp_path / "drawn", "--kind", "scribble")
    words, guesses = "labels that leave pixels blank: 2;", "items guessed about"
    walker = "--set learn.random_walk=0.5"
    out = done(capsys, "train", project, *FAST)
    assert words in out
    assert walker in out
    assert guesses not in out
    off = ["--set", "learn.gated_crf=0", "--set", "learn.random_walk=0.4"]
    out = done(capsys, "train", project, *FAST, *off)
    assert words not in out
    assert walker not in out
    assert f"{guesses}: random_walk 2;" in out


# Start-up


@pytest.mark.parametrize("words", [["--help"], ["info", "{p}"], ["info", "{p}", "--items"]])
def test_answers_at_once_without_the_heavy_libraries(words, standing):
    command = [sys.executable, "-X", "importtime", *PROGRAM[1:]]
    words = [word.format(p=standing / "project") for word in words]
    found = subprocess.run([*command, *words], capture_output=True, text=True, check=True, cwd=ROOT)
    loaded = {line.split("|")[-1].strip().split(".")[0] for line in found.stderr.splitlines()}
    assert loaded & {"torch", "monai", "scipy", "sklearn", "pandas", "numpy", "jaxtyping"} == set()


@pytest.mark.slow
def test_a_run_keeps_the_command_that_started_it(capsys, tmp_path):
    project = made.pictures(tmp_path).folder
    fast = [*made.FAST, "learn.iterations=2"]
    words = ["--strategy", "random", "--rounds", "1", "--limit", "2", "--workers", "1"]
    words += [word for setting in fast for word in ("--set", setting)]
    done(capsys, "simulate", project, *words, "--out", tmp_path / "my run")
    stored = json.loads((tmp_path / "my run" / "run.json").read_text())
    assert stored["command"].startswith(f"fewmasks simulate {project} --strategy random --rounds 1")
    assert stored["command"].endswith(f"--out '{tmp_path / 'my run'}'")
    file = tmp_path / "study.toml"
    file.write_text(
        f"rounds = 1\nlimit = 2\nseeds = 1\nsettings = {fast}\n"
        f"[[task]]\nname = 'one'\nproject = 'project'\n"
    )
    done(capsys, "study", "run", file, "--out", tmp_path / "s", "--workers", "1")
    stored = json.loads((tmp_path / "s" / "runs" / "one" / "plain" / "run.json").read_text())
    assert stored["command"] == f"fewmasks study run {file} --out {tmp_path / 's'} --workers 1"


# Interrupts and progress


@pytest.mark.slow
def test_ctrl_c_says_so_and_leaves_with_130(tmp_path):
    project = made.pictures(tmp_path).folder
    child = subprocess.Popen(
        [*PROGRAM, "simulate", str(project), "--strategy", "random", "--limit", "2", "--rounds",
         "3", "--out", str(tmp_path / "out"), "--iterations", "100000", "--set", "learn.size=32"],
        cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip
    end = time.monotonic() + 120
    while not list(tmp_path.rglob("00-asked.json")) and time.monotonic() < end:
        time.sleep(0.05)
    os.killpg(child.pid, signal.SIGINT)
    out, err = child.communicate(timeout=30)
    assert child.returncode == 130
    assert err == "fewmasks: interrupted; the same command goes on from here\n"
    assert out == ""


def watched(*words) -> tuple[int, str]:
    """A command on a terminal: exit status and all that was shown."""
    pid, terminal = pty.fork()
    if pid == 0:
        os.chdir(ROOT)
        os.environ["TERM"] = "xterm"
        os.execv(sys.executable, [*PROGRAM, *map(str, words)])
    shown = b""
    while True:
        try:
            block = os.read(terminal, 4096)
        except OSError:  # the other side is gone
            break
        if not block:
            break
        shown += block
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    return os.waitstatus_to_exitcode(status), shown.decode()


@pytest.mark.slow
def test_people_see_bars_and_logs_see_lines(tmp_path):
    made.write_pictures(tmp_path / "study")
    table = ["--table", tmp_path / "study" / "meta.csv", "--classes", "background,cell"]
    status, shown = watched("create", tmp_path / "one", *table)
    assert status == 0
    assert "\x1b[" in shown
    assert "Traceback" not in shown
    found = shell("create", tmp_path / "two", *table)
    assert found.returncode == 0
    lines = found.stderr.splitlines()
    assert "reading images: 12 done" in lines
    assert len(lines) == len(set(lines)) <= 4
    assert "\x1b" not in found.stderr + found.stdout
