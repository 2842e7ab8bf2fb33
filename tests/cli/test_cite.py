"""What `fewmasks cite` prints goes into a bibliography as it is, and agrees with the reference."""

import re

import pytest

from fewmasks.cli.main import app, run
from fewmasks.query.strategies import STRATEGIES

KINDS = {"article", "book", "inproceedings", "misc"}
NO_PAPER = {"random"}
ENTRY = re.compile(r"@(?P<kind>\w+)\{(?P<key>\w+),\n(?P<fields>.*)\n\}", re.DOTALL)
FIELD = re.compile(r"  (?P<name>\w+) = \{(?P<value>.*)\}", re.DOTALL)
ARXIV = re.compile(r"\d{4}\.\d{4,5}")
PAPERS = sorted(STRATEGIES.keys() - NO_PAPER)


def cited(capsys, *names):
    assert run(app, ["cite", *names]) == 0
    return capsys.readouterr().out.strip()


def parsed(text):
    """Kind, key and fields of one entry, a field a line or several, all braces closed."""
    entry = ENTRY.fullmatch(text)
    assert entry, text
    fields = {}
    for line in re.split(r",\n(?=  \w)", entry["fields"]):
        field = FIELD.fullmatch(line)
        assert field, line
        assert is_balanced(field["value"]), line
        assert field["name"] not in fields, line
        fields[field["name"]] = " ".join(field["value"].split())
    return entry["kind"], entry["key"], fields


def is_balanced(value):
    depths = [value[:end].count("{") - value[:end].count("}") for end in range(len(value) + 1)]
    return min(depths) == 0 == depths[-1]


def plain(text):
    r"""Text without braces and accents of TeX: L{\"u}th is Luth."""
    return re.sub(r"\\\W|[{}]", "", text)


@pytest.mark.parametrize("name", PAPERS)
def test_an_entry_is_bibtex_with_author_title_and_year(name, capsys):
    kind, _, fields = parsed(cited(capsys, name))
    assert kind in KINDS
    assert fields.keys() >= {"author", "title", "year"}
    assert re.fullmatch(r"(19|20)\d\d", fields["year"])
    where = {"article": "journal", "book": "publisher", "inproceedings": "booktitle"}
    assert where.get(kind, "eprint") in fields
    for author in plain(fields["author"]).split(" and "):
        assert re.fullmatch(r"[^,]+, [^,]+", author), author
    assert ("eprint" in fields) == (fields.get("archiveprefix") == "arXiv")


@pytest.mark.parametrize("name", PAPERS)
def test_reference_and_entry_are_of_one_paper(name, capsys):
    _, _, fields = parsed(cited(capsys, name))
    reference = STRATEGIES[name].reference.replace("ü", "u")
    assert plain(fields["author"]).split(",")[0] in reference
    assert fields["year"] in reference
    numbers = ARXIV.findall(reference)
    assert numbers == [fields["eprint"]] if "eprint" in fields else numbers == []


def test_one_key_is_one_paper_and_no_paper_is_printed_twice(capsys):
    entries = [text for text in cited(capsys).split("\n\n") if text.startswith("@")]
    keys = [parsed(text)[1] for text in entries]
    assert len(set(keys)) == len(keys)
    titles = [plain(parsed(text)[2]["title"]).lower() for text in entries]
    assert len(set(titles)) == len(titles)


def test_what_has_no_paper_is_a_comment(capsys):
    for name in NO_PAPER:
        assert cited(capsys, name) == f"% {STRATEGIES[name].reference}"
