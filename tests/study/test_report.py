"""The page parses, holds every name, runs nothing that came from a file, and judges fairly."""

import re
from html.parser import HTMLParser

import numpy as np
import pandas as pd
import pytest
from tests.study.curves import curve_of, made_up_study

from fewmasks.study.gallery import MOST_PICTURES
from fewmasks.study.report import write_report
from fewmasks.study.statistics import RUN

pytestmark = pytest.mark.slow

VOID = {"meta", "img", "br", "link", "input"}
NO_PICKS = pd.DataFrame(columns=[*RUN, "round", "order", "item", "group", "reason"])


class Page(HTMLParser):
    """Text outside scripts and styles, attributes of tags, and whether tags nest."""

    def __init__(self, path):
        super().__init__()
        self.text, self.tags, self.open = "", [], []
        self.feed(path.read_text(encoding="utf-8"))
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert tag == "p" or self.open[-1] == tag, f"</{tag}> closes {self.open[-1]}"
        self.open.pop()

    def handle_data(self, data):
        if not {"script", "style"} & set(self.open):
            self.text += data

    def count(self, tag):
        return sum(name == tag for name, _ in self.tags)


def page_of(tmp_path, curve, picks=NO_PICKS, run=None, pictures=None):
    page = Page(write_report(tmp_path, curve, picks, run or {}, pictures))
    page.text = re.sub(r"\s+", " ", page.text)
    return page


def grey_with_mask(item):
    return np.zeros((8, 8), np.uint8), np.ones((8, 8), np.uint8)


def test_page_names_strategies_classes_items_and_what_was_run(tmp_path):
    curve, picks = made_up_study()
    run = {"title": "Hip", "split": {"train": 80, "test": 20}, "seeds": [0, 1], "wall_time": 1.5}
    page = page_of(tmp_path, curve, picks, run, grey_with_mask)
    first_seed = picks.loc[picks["seed"] == 0, "item"]
    for name in ("random", "clasp-pe", "coreset", "anterior", "posterior", *first_seed):
        assert name in page.text
    for words in ("Hip", "train: 80", "test: 20", "0, 1", "wall time", "1.5"):
        assert words in page.text
    assert "random-s1r0i0" not in page.text


def test_page_needs_nothing_but_itself(tmp_path):
    curve, picks = made_up_study()
    page = page_of(tmp_path, curve, picks, pictures=grey_with_mask)
    outside = [attrs for _, attrs in page.tags if {"src", "href"} & set(attrs)]
    assert {tag for tag, _ in page.tags if tag == "link"} == set()
    assert all(attrs["src"].startswith("data:image/png") for attrs in outside)
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert raw.count("plotly.js v") == 1
    assert "default-src 'none'" in raw
    assert len(raw) < 7e6


def test_same_study_same_page(tmp_path):
    curve, picks = made_up_study()
    pages = [write_report(tmp_path / n, curve, picks, {}).read_bytes() for n in ("a", "b")]
    assert pages[0] == pages[1]


def test_pictures_are_few_and_no_round_goes_without(tmp_path):
    curve, picks = made_up_study(rounds=4, k=20)
    asked = []

    def pictures(item):
        asked.append(item)
        return grey_with_mask(item)

    page = page_of(tmp_path, curve, picks, pictures=pictures)
    assert page.count("img") == len(asked) == MOST_PICTURES
    assert page.count("figure") == 3 * 4 * 20
    rounds = {re.sub(r"i\d+$", "", item) for item in asked}
    assert len(rounds) == 3 * 4
    assert page_of(tmp_path, curve, picks).count("img") == 0


def test_nothing_from_a_file_becomes_a_tag(tmp_path):
    evil = "</script><script>alert(1)</script><img src=x onerror='a()'>\"$title"
    curve, picks = made_up_study(strategies=("random", evil), rounds=2, k=2)
    curve = curve.rename(columns={"dice_anterior": f"dice_{evil}"})
    picks[["item", "group", "reason"]] = evil
    harmless = page_of(tmp_path, *made_up_study(("random", "a"), rounds=2, k=2), {"title": "a"})
    page = page_of(tmp_path, curve, picks, {"title": evil, evil: evil}, None)
    assert [tag for tag, _ in page.tags] == [tag for tag, _ in harmless.tags] + ["dt", "dd"]
    assert not any("onerror" in attrs for _, attrs in page.tags)
    assert evil in page.text
    raw = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert "<script>alert" not in raw
    assert "<img src=x" not in raw


@pytest.mark.parametrize(
    ("dices", "words"),
    [
        ({"random": [[0.5]]}, "random ended at Dice 0.50 with 10 labels."),
        ({"new": [[0.5]]}, "There is no random baseline"),
        ({"random": [[np.nan, np.nan]], "new": [[np.nan, np.nan]]}, "No score"),
        ({"random": [[0.5, 0.6]], "new": [[np.nan, np.nan]]}, "new has no score"),
        ({"random": [[np.nan]], "new": [[0.5]]}, "its baseline has no score"),
        ({"random": [[0.5, 0.6]], "new": [[0.6, 0.7]]}, "one seed cannot tell a gain from luck"),
        ({"random": [[0.5, 0.6]] * 2, "new": [[0.6, 0.7]] * 2}, "all seeds differ by the same"),
        ({"random": [[0.5, 0.6]], "new": [[0.6, 0.7]]}, "with 10 labels, where random needed 20"),
        ({"random": [[0.5, 0.6]], "new": [[0.3, 0.4]]}, "never reached random's 0.60"),
        ({"random": [[0.5, 0.6]], "new": [[0.5, 0.6]]}, "with 20 labels, as random did"),
    ],
)
def test_verdict_says_what_can_be_said(dices, words, tmp_path):
    assert words in page_of(tmp_path, curve_of(dices)).text


def test_verdict_of_seeds(tmp_path):
    rng = np.random.default_rng(0)
    base = rng.normal(0.5, 0.05, (6, 1))
    arms = {
        "random": base,
        "better": base + 0.1 + rng.normal(0, 0.01, (6, 1)),
        "worse": base - 0.1 + rng.normal(0, 0.01, (6, 1)),
        "alike": base + rng.normal(0, 0.01, (6, 1)),
    }
    curve = curve_of({name: runs.tolist() for name, runs in arms.items()})
    text = page_of(tmp_path, curve, run={"title": "Six seeds"}).text
    verdict = text[: text.index("Learning curves")]
    assert re.search(r"better reached .* 6 paired seeds\): better than random\.", verdict)
    assert re.search(r"worse ended .*: worse than random\.", verdict)
    assert re.search(r"alike .*: not distinguishable from random yet\.", verdict)
    assert "hint" not in verdict
    few = {name: runs[:3].tolist() for name, runs in arms.items()}
    assert "With 3 paired seeds, treat this as a hint." in page_of(tmp_path, curve_of(few)).text


def test_a_gain_that_only_one_of_many_shows_is_not_called_one(tmp_path):
    """Its own p is 0.03; with three strategies compared, Holm makes that 0.09."""
    gains = np.array([[0.01], [0.03], [0.05], [0.02], [0.04]])
    changes = {"random": 0 * gains, "lucky": gains - 0.0065, "b": gains - 0.03, "c": 0.03 - gains}
    arms = {name: 0.5 + change for name, change in changes.items()}
    text = page_of(tmp_path, curve_of({name: runs.tolist() for name, runs in arms.items()})).text
    assert "not distinguishable from random yet, as several were compared" in text
    assert "better than random." not in text


def test_starts_are_compared_within_themselves(tmp_path):
    """Random from BYOL is the baseline of BYOL; the names then say the start."""
    curve = pd.concat(
        [
            curve_of({"random": [[0.5, 0.6]], "new": [[0.6, 0.7]]}),
            curve_of({"random": [[0.7, 0.8]], "new": [[0.6, 0.7]]}, start="byol"),
        ]
    )
    text = page_of(tmp_path, curve).text
    assert "new · scratch reached Dice 0.60 with 10 labels" in text
    assert "new · byol ended at Dice 0.70 with 20 labels and never reached random's 0.80" in text


def test_an_empty_curve_is_a_page_too(tmp_path):
    page = page_of(tmp_path, curve_of({}))
    assert "No score" in page.text
    assert "No picks were recorded" in page.text
