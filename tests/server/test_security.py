"""Strangers, forged requests and hostile uploads: each refused, and nothing written."""

import io
import json
import struct
import zlib
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pytest
from fastapi.routing import APIRoute
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from tests.project import made as projects
from tests.server import made

from fewmasks.project.schema import session, writing
from fewmasks.server.accounts import add_user
from fewmasks.server.app import make_app
from fewmasks.server.attempts import Attempts
from fewmasks.server.auth import cookie_name
from fewmasks.server.clock import moment
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import Link

pytestmark = pytest.mark.slow

PASSWORD = "correct horse"
OPEN = {("GET", "/api/ready"), ("POST", "/api/session")}


@pytest.fixture(scope="module")
def project(tmp_path_factory):
    project = made.asking(tmp_path_factory.mktemp("security"))
    add_user(project.engine, "ann", "annotator", PASSWORD)
    add_user(project.engine, "olga", "owner", PASSWORD)
    return project


def routes(app, *prefixes: str) -> list[tuple[str, str]]:
    """Method and path of every request under /api, or these, with an item put in."""
    found, waiting = [], list(app.routes)
    while waiting:
        route = waiting.pop()
        waiting += getattr(getattr(route, "original_router", None), "routes", [])
        if isinstance(route, APIRoute) and route.path.startswith(prefixes or "/api/"):
            path = route.path.replace("{id:path}", "p0").replace("{path:path}", "nothing")
            found += [(method, path) for method in route.methods]
    return sorted(set(found))


def test_nothing_is_told_to_strangers(project):
    desk = Desk(project, Link())
    stranger = made.Page(desk, None)
    before = made.content(project)
    checked = 0
    for method, path in routes(make_app(desk)):
        if (method, path) in OPEN or path == "/api/nothing":
            continue
        made.refused(stranger.client.request(method, path, content=b"{}"), 401, "sign in")
        checked += 1
    assert checked >= 24
    assert made.content(project) == before


def test_no_change_without_the_token_of_the_session(project):
    desk = Desk(project, Link())
    mine = made.Page(desk)
    other = made.Page(desk)
    before = made.content(project)
    for token in (None, "", "0" * 64, other.client.headers["X-CSRF-Token"]):
        if token is None:
            del mine.client.headers["X-CSRF-Token"]
        else:
            mine.client.headers["X-CSRF-Token"] = token
        for method, path in routes(make_app(desk)):
            if method == "GET" or (method, path) in OPEN or path == "/api/nothing":
                continue
            made.refused(mine.client.request(method, path, content=b"{}"), 403, "X-CSRF-Token")
    assert made.content(project) == before


@pytest.mark.parametrize("origin", ["", "null", "http://evil.example", "http://127.0.0.1:8001"])
def test_no_change_from_another_site(project, origin):
    tab = made.page(project)
    before = made.content(project)
    tab.client.headers["Origin"] = origin
    made.refused(tab.take("p0"), 403, "origin")
    made.refused(tab.post("session", {"name": "ann", "password": PASSWORD}), 403, "origin")
    del tab.client.headers["Origin"]
    made.refused(tab.take("p0"), 403, "origin")
    assert made.content(project) == before


def test_another_name_for_this_computer_is_refused(project):
    evil = made.Page(Desk(project, Link()), None, host="http://evil.example:8000")
    made.refused(evil.get("ready"), 421, "evil.example")
    for name in ("localhost", "[::1]"):
        assert made.Page(Desk(project, Link()), None, f"http://{name}:8000").get("ready").is_success
    shared = made.Page(Desk(project, None), None, host="http://labels.example")
    assert shared.get("ready").json()["users"] is True


def test_every_answer_forbids_frames_and_foreign_code(project):
    tab = made.page(project)
    for answer in (
        tab.get("queue"), tab.get("nothing"), tab.get("items/p0/image.png"), tab.client.get("/"),
        tab.post("nothing"),
    ):  # fmt: skip
        assert "frame-ancestors 'none'" in answer.headers["content-security-policy"]
        assert "script" not in answer.headers["content-security-policy"]
        assert answer.headers["x-frame-options"] == "DENY"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "access-control-allow-origin" not in answer.headers
    assert "no-store" in tab.get("queue").headers["cache-control"]
    assert tab.client.request("OPTIONS", "/api/queue").status_code in (404, 405)


def test_signing_in_by_password(project):
    tab = made.Page(Desk(project, None), None)
    made.refused(tab.get("queue"), 401, "name and password")
    made.refused(tab.post("session", {"name": "ann", "password": "wrong horse"}), 401)
    made.refused(tab.post("session", {"name": "nobody", "password": PASSWORD}), 401)
    told = tab.post("session", {"name": "ann", "password": PASSWORD})
    assert told.json()["role"] == "annotator"
    assert "HttpOnly" in told.headers["set-cookie"]
    assert "Secure" not in told.headers["set-cookie"]
    assert tab.get("session").json() == told.json()
    over_tls = made.Page(Desk(project, None), None, host="https://labels.example")
    told = over_tls.post("session", {"name": "ann", "password": PASSWORD})
    assert "Secure" in told.headers["set-cookie"]


def test_the_database_holds_neither_passwords_nor_tokens(project):
    tab = made.page(project)
    held = (project.folder / "project.db").read_bytes()
    held += b"".join(path.read_bytes() for path in project.folder.glob("project.db-*"))
    assert b"argon2id" in held
    assert PASSWORD.encode() not in held
    assert tab.client.cookies[tab.cookie].encode() not in held


def test_guessing_is_slowed_down(project):
    desk = Desk(project, None, Attempts(per_name=2, per_address=4))
    tab = made.Page(desk, None)
    for _ in range(2):
        made.refused(tab.post("session", {"name": "ann", "password": "guess"}), 401)
    answer = tab.post("session", {"name": "ann", "password": PASSWORD})
    made.refused(answer, 429, "too many failed attempts")
    assert 0 < int(answer.headers["retry-after"]) <= 61
    assert tab.post("session", {"name": "olga", "password": PASSWORD}).status_code == 200
    for name in ("x", "y"):
        made.refused(tab.post("session", {"name": name, "password": "guess"}), 401)
    made.refused(tab.post("session", {"name": "z", "password": "guess"}), 429)


def test_a_session_runs_out_and_that_of_the_link_ends_when_there_are_users(project):
    link = made.page(project)
    assert link.get("queue").status_code == 200
    users = made.Page(Desk(project, None), None)
    users.client.cookies.set(users.cookie, link.client.cookies[link.cookie])
    made.refused(users.get("queue"), 401)
    with writing(project.engine).begin() as connection:
        connection.execute(session.update(), {"until": moment(-1.0)})
    made.refused(link.get("queue"), 401)


def test_projects_on_one_computer_do_not_sign_each_other_out(tmp_path):
    desks = [Desk(made.asking(tmp_path / name), Link()) for name in ("one", "two")]
    hosts = ("http://127.0.0.1:8000", "http://127.0.0.1:8001")
    one, two = (made.Page(d, None, host) for d, host in zip(desks, hosts, strict=True))
    two.client.cookies = one.client.cookies.jar  # one browser, which does not tell ports apart
    for tab, desk in zip((one, two), desks, strict=True):
        tab.client.get("/", params={"token": desk.link.token})
    for tab in (one, two):
        tab.client.headers["X-CSRF-Token"] = tab.get("session").json()["csrf"]
        assert tab.take("p0").status_code == 200
    assert one.send("DELETE", "session").status_code == 204
    made.refused(one.get("queue"), 401)
    assert two.get("queue").status_code == 200


def test_a_project_is_the_same_one_by_whatever_path(tmp_path, monkeypatch):
    folder = tmp_path / "project"
    folder.mkdir()
    (tmp_path / "link").symlink_to(folder)
    monkeypatch.chdir(tmp_path)
    names = {cookie_name(path) for path in (folder, Path("project"), tmp_path / "link")}
    assert len(names) == 1


def test_a_new_password_signs_out(tmp_path):
    project = made.asking(tmp_path)
    add_user(project.engine, "ann", "annotator", PASSWORD)
    tab = made.Page(Desk(project, None), "ann")
    add_user(project.engine, "ann", "owner", "another horse")
    made.refused(tab.get("queue"), 401)
    assert tab.post("session", {"name": "ann", "password": "another horse"}).json()["role"] == (
        "owner"
    )


def test_annotators_do_not_train(project):
    tab = made.Page(Desk(project, None, work=("false",)), "ann")
    made.refused(tab.post("jobs", {}), 403, "annotator")
    made.refused(tab.send("DELETE", "jobs/current"), 403)
    assert tab.get("jobs/current").json()["state"] == "none"
    assert not (project.folder / "jobs").exists()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"p0"', b'{"item": 1}', b'{"item": null}', b'{"item": ["p0"]}',
        b'{"item": "p0", "more": 1}', b'{"item": "\\ud800"}', b'{"item": "\\u0000"}', b"\xff\xfe",
        b"[" * 60_000, b'{"item": NaN}',
    ],
)  # fmt: skip
def test_hostile_json(project, body):
    tab = made.page(project)
    before = made.content(project)
    answer = tab.send("POST", "leases", content=body, headers={"Content-Type": "application/json"})
    assert 400 <= answer.status_code < 500
    made.refused(answer, answer.status_code)
    assert made.content(project) == before


def test_words_that_no_text_can_hold(project):
    tab = made.page(project)
    for text in ('"\\ud800"', '"' + "x" * 4001 + '"', "1"):
        body = f'{{"text": {text}}}'.encode()
        made.refused(tab.send("POST", "items/p0/comment", content=body), 422)
    answer = tab.post("session", {"name": "x", "password": "y" * 1025})
    made.refused(answer, 422, "password")


def test_too_long_a_request(project):
    tab = made.page(project)
    body = b'{"item": "' + b"x" * 70_000 + b'"}'
    made.refused(tab.send("POST", "leases", content=body), 413, "70012 bytes")
    made.refused(tab.send("POST", "leases", content=iter([body[:40_000], body[40_000:]])), 413)
    made.refused(tab.send("POST", "leases", content=b"{}", headers={"Content-Length": "-1"}), 413)


def chunk(name: bytes, content: bytes) -> bytes:
    checksum = zlib.crc32(name + content)
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", checksum)


def raw_png(height: int, width: int, content: bytes, depth: int = 8, colour: int = 0) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    data = chunk(b"IDAT", zlib.compress(content))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + data + chunk(b"IEND", b"")


def hostile() -> dict[str, tuple[bytes, int, str]]:
    """Uploads, the status they get, and words of the sentence; the item is 6 x 8 with 2 classes."""
    good = made.png(projects.mask_of())
    rgb, deep = io.BytesIO(), io.BytesIO()
    Image.new("RGB", (8, 6)).save(rgb, "PNG")
    Image.fromarray(np.zeros((6, 8), np.uint16)).save(deep, "PNG")
    jpeg = io.BytesIO()
    Image.new("L", (8, 6)).save(jpeg, "JPEG")
    bomb = raw_png(6, 8, bytes(50_000_000))
    flipped = bytearray(good)
    flipped[45] ^= 1
    words = (
        b"\x89PNG\r\n\x1a\n" + good[8:33] + chunk(b"zTXt", b"x\0\0" + zlib.compress(bytes(10**7)))
    )
    svg = b"<svg xmlns='http://www.w3.org/2000/svg'><script>alert(1)</script></svg>"
    return {
        "nothing": (b"", 415, "no PNG"),
        "svg": (svg, 415, "no PNG"),
        "jpeg": (jpeg.getvalue(), 415, "no PNG"),
        "signature alone": (good[:8], 415, "no PNG"),
        "header alone": (good[:33], 422, "cut off"),
        "cut": (good[:-1], 422, "cut off"),
        "half": (good[: len(good) // 2], 422, "cut off"),
        "a flipped bit": (bytes(flipped), 422, "damaged"),
        "more behind": (good + b"<script>", 422, "bytes follow"),
        "colour": (rgb.getvalue(), 415, "8-bit"),
        "16 bits": (deep.getvalue(), 415, "16 bits"),
        "other size": (made.png(np.zeros((8, 6), np.uint8)), 422, "8 x 6 pixels, the item 6 x 8"),
        "class 2": (made.png(np.full((6, 8), 2, np.uint8)), 422, "holds class 2"),
        "too little": (raw_png(6, 8, bytes(20)), 422, ""),
        "no stream": (raw_png(6, 8, b"").replace(zlib.compress(b""), b"12345678"), 422, ""),
        "huge header": (raw_png(2**31 - 1, 2**31 - 1, b""), 422, "pixels"),
        "bomb of pixels": (raw_png(60_000, 60_000, bytes(10**6)), 422, "pixels"),
        "bomb of words": (words + good[33:], 422, ""),
        "long": (bytes(200_000), 413, "more than"),
        "bomb in an item's size": (bomb[:70_000] + bytes(70_000), 413, "more than"),
    }


@pytest.mark.parametrize("name", hostile())
@pytest.mark.parametrize("rest", ["/draft", "/tools/random-walker", "/tools/snap"])
def test_hostile_uploads(project, name, rest):
    body, status, words = hostile()[name]
    tab = made.page(project)
    tab.take("p0")
    before = made.content(project)
    query = {"sequence": 1, "kind": "mask", "seconds": 1}
    method = "PUT" if rest == "/draft" else "POST"
    answer = tab.send(method, tab.item("p0", rest), params=query, content=body)
    made.refused(answer, status, words)
    assert made.content(project) == before


def test_pixels_beyond_the_size_are_never_unpacked(project):
    """Fifty megabytes of zeros in fifty kilobytes, under a header of 6 x 8."""
    tab = made.page(project)
    tab.take("p0")
    answer = tab.draw("p0", raw_png(6, 8, bytes(50_000_000)))
    assert answer.status_code in (200, 422)


@pytest.mark.parametrize(
    ("query", "words"),
    [
        ({"sequence": 0}, "sequence"), ({"sequence": -1}, "sequence"), ({"sequence": 2**53}, "seq"),
        ({"sequence": "x"}, "sequence"), ({"kind": "box"}, "kind"), ({"seconds": -1}, "seconds"),
        ({"seconds": "nan"}, "seconds"), ({"seconds": "inf"}, "seconds"), ({"seconds": 1e9}, "sec"),
    ],
)  # fmt: skip
def test_hostile_numbers(project, query, words):
    tab = made.page(project)
    tab.take("p0")
    before = made.content(project)
    query = {"sequence": 1, "kind": "mask", "seconds": 1} | query
    answer = tab.send("PUT", "items/p0/draft", params=query, content=made.png(projects.mask_of()))
    made.refused(answer, 422, words)
    given = {name: query[name] for name in query}
    made.refused(tab.post("items/p0/answer", given | {"base": None}), 422, words)
    assert made.content(project) == before


PATHS = (
    "../../project.db", "..\\..\\project.db", "/etc/passwd", "....//", "p0\0", "%2e%2e%2f", ".",
    " ", "p0/draft", "p0/image.png", "masks/p0.png", "\u202ep0", "p" * 5000,
    "'; DROP TABLE label; --",
)  # fmt: skip


@pytest.mark.parametrize("name", PATHS)
def test_paths_for_ids(project, name):
    tab = made.page(project)
    before = made.content(project)
    segment = quote(name, safe="").replace(".", "%2E")
    for rest in ("", "/image.png", "/label.png", "/draft.png", "/prediction.png", "/comments"):
        made.refused(tab.client.get(f"{made.HERE}/api/items/{segment}{rest}"), 404)
    made.refused(tab.take(name), 404, "no item is called")
    answer = tab.send("PUT", f"items/{segment}/draft?sequence=1&kind=mask&seconds=1", content=b"x")
    made.refused(answer, 404)
    for rest in ("answer", "skip", "comment"):
        answer = tab.post(f"items/{segment}/{rest}", {"text": "x"})
        assert answer.status_code in (404, 422)
    assert made.content(project) == before


@pytest.mark.parametrize("name", ["", " ann", "me", "a\nb", "x" * 65])
def test_names_that_nobody_has(project, name):
    from fewmasks.errors import ConfigError

    with pytest.raises(ConfigError, match="--add-user"):
        add_user(project.engine, name, "owner", PASSWORD)


def test_a_disk_that_takes_nothing_is_told(tmp_path):
    project = made.asking(tmp_path)
    (project.folder / "drafts").write_text("in the way")
    tab = made.page(project)
    tab.take("p0")
    made.refused(tab.draw("p0", projects.mask_of()), 507, "nothing was stored")
    assert tab.get("items/p0").json()["draft"] is None


FUZZED = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)
KEYS = (
    "item",
    "kind",
    "seconds",
    "sequence",
    "base",
    "reason",
    "flag",
    "text",
    "strategy",
    "limit",
)


@pytest.fixture
def fuzzed(tmp_path):
    return made.asking(tmp_path)


@pytest.mark.slow
@settings(
    max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    given_=FUZZED | st.dictionaries(st.sampled_from(KEYS), FUZZED),
    query=st.dictionaries(st.sampled_from(KEYS), st.text(max_size=8)),
)
def test_whatever_comes_in_the_answer_is_a_refusal_or_an_answer(fuzzed, given_, query):
    desk = Desk(fuzzed, Link(), work=("false",))
    tab = made.Page(desk)
    for method, path in routes(make_app(desk)):
        if (method, path) in {("DELETE", "/api/session"), ("POST", "/api/session")}:
            continue
        body = json.dumps(given_).encode() if method != "GET" else None
        answer = tab.client.request(method, path, content=body, params=query)
        assert answer.status_code < 500, (method, path, answer.text)
        if answer.status_code >= 400:
            made.refused(answer, answer.status_code)


def test_the_description_names_every_request_and_what_it_answers(project):
    app = make_app(Desk(project, None))
    told = made.Page(Desk(project, None), None).get("openapi.json").json()
    described = {
        (method.upper(), path) for path, methods in told["paths"].items() for method in methods
    }
    prefixes = ("/api/", "/monailabel/", "/label-studio/")
    real = {each for each in routes(app, *prefixes) if not each[1].endswith("/nothing")}
    assert len(described) == len(real) >= 45
    for methods in told["paths"].values():
        for each in methods.values():
            assert each["description"]
            assert "4XX" in each["responses"]


def test_short_passwords_are_refused(project):
    from fewmasks.errors import ConfigError

    with pytest.raises(ConfigError, match="7 characters"):
        add_user(project.engine, "carl", "owner", "1234567")
