"""The page itself: built files, and plain words where there are none."""

import pytest
from tests.server import made

from fewmasks.server import pages


@pytest.fixture(scope="module")
def tab(tmp_path_factory):
    return made.page(made.asking(tmp_path_factory.mktemp("pages")))


@pytest.fixture
def built(tmp_path, monkeypatch):
    folder = tmp_path / "static"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<p>the page</p>")
    (folder / "assets" / "app-123.js").write_text("1")
    (tmp_path / "secret.txt").write_text("secret")
    monkeypatch.setattr(pages, "STATIC", folder)


def test_a_page_that_is_not_built_says_what_to_do(tab, tmp_path, monkeypatch):
    monkeypatch.setattr(pages, "STATIC", tmp_path / "none")
    answer = tab.client.get("/")
    assert answer.status_code == 503
    assert "make ui" in answer.text
    made.refused(tab.get("nothing"), 404, "nothing here")


@pytest.mark.usefixtures("built")
def test_the_page_and_its_files(tab):
    for path in ("/", "/index.html", "/dashboard", "/label/p0"):
        answer = tab.client.get(path)
        assert (answer.status_code, answer.text) == (200, "<p>the page</p>"), path
        assert answer.headers["cache-control"] == "no-cache"
    answer = tab.client.get("/assets/app-123.js")
    assert answer.headers["content-type"].startswith("text/javascript")
    assert "immutable" in answer.headers["cache-control"]
    assert "default-src 'self'" in answer.headers["content-security-policy"]


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    "path", ["/secret.txt", "/..%2fsecret.txt", "/%2e%2e/secret.txt", "//etc/passwd.x", "/a<b>.js"]
)
def test_no_other_file_is_served(tab, path):
    answer = tab.client.get(path)
    assert answer.status_code == 404
    assert "secret" not in answer.text.replace("secret.txt", "")
    assert "<b>" not in answer.text
