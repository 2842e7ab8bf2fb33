"""Progress for logs: one line for a finished task, nothing between."""

import json

from fewmasks.cli.progress import progress


def test_a_task_is_a_line_when_it_is_done(capsys):
    with progress() as report:
        for done in range(1, 101):
            report("reading", done, 100)
        report("training", 3, 10)
        report("storing", 7, -1)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "reading: 100 done\n")


def test_a_task_that_was_already_done_says_so(capsys):
    with progress() as report:
        report("nothing", 0, 0)
    assert capsys.readouterr().err == "nothing: 0 done\n"


def test_programs_get_json_now_and_then_and_always_the_end(capsys, monkeypatch):
    monkeypatch.setenv("FEWMASKS_PROGRESS", "json")
    with progress() as report:
        for done in range(1, 1001):
            report("reading", done, 1000)
        report("training", 1, 10)
        report("storing", 7, -1)
    out, err = capsys.readouterr()
    told = [json.loads(line) for line in err.splitlines()]
    assert out == ""
    assert told[0] == {"what": "reading", "done": 1, "of": 1000}
    assert {"what": "reading", "done": 1000, "of": 1000} in told
    assert told[-2:] == [
        {"what": "training", "done": 1, "of": 10},
        {"what": "storing", "done": 7, "of": -1},
    ]
    assert len(told) < 100
