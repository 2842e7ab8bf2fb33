"""`fewmasks next --like`: what it prints and what it refuses."""

import json

import pytest
from tests.study import made

from fewmasks.cli.main import app, run


def say(capsys, *words):
    """Exit status, stdout and stderr of a command run in this process."""
    capsys.readouterr()
    status = run(app, [str(word) for word in words])
    return status, *capsys.readouterr()


def test_what_looks_alike_is_asked_for(tmp_path, capsys):
    folder = made.pictures(tmp_path).folder
    size = ["--set", "learn.size=32", "--set", "learn.precision=fp32"]
    status, out, err = say(capsys, "next", folder, "--like", "p00", "--limit", 2, "--json", *size)
    assert status == 0, err
    found = json.loads(out)
    assert found["strategy"] == "like"
    assert [pick["reason"] for pick in found["picks"]] == ["looks like p00"] * 2
    assert "alike is judged by thumbnails" in err


@pytest.mark.slow
@pytest.mark.parametrize(
    ("words", "refusal"),
    [
        ("--like p99", "no item is called 'p99'"),
        ("--like p05", "--like: p05 is a test item, by which nothing may be chosen"),
        ("--like p00 --strategy random", "both --like and --strategy are given; give one"),
        ("--like p00 --limit 0", "--limit: must be at least 1 (0)"),
        ("--like p00 --limit 2 --minutes 3", "both --limit and --minutes are given"),
    ],
)
def test_what_cannot_be_is_one_line(words, refusal, tmp_path, capsys):
    folder = made.pictures(tmp_path).folder
    status, _, err = say(capsys, "next", folder, *words.split(), "--set", "learn.size=32")
    assert status == 2
    assert refusal in err
    assert "Traceback" not in err
