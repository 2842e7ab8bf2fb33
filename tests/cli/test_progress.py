"""Progress for logs: one line for a finished task, nothing between."""

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
