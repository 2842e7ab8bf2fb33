"""A server over a small project, and somebody who is signed in at it."""

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from urllib.parse import quote

import numpy as np
from fastapi.testclient import TestClient
from PIL import Image
from tests.project import made

from fewmasks.project import Project
from fewmasks.server.app import make_app
from fewmasks.server.auth import cookie_name
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import Link, begin_session
from fewmasks.types import Pick, Round

HERE = "http://127.0.0.1:8000"


def png(mask: np.ndarray, mode: str | None = None) -> bytes:
    """A PNG of class numbers, as a browser would send it."""
    packed = io.BytesIO()
    image = Image.fromarray(mask)
    (image.convert(mode) if mode else image).save(packed, format="PNG")
    return packed.getvalue()


def pixels(answer: Any) -> np.ndarray:
    """What a PNG from the server holds."""
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "image/png"
    return np.asarray(Image.open(io.BytesIO(answer.content)))


def asking(folder: Path, audit: Sequence[str] = ()) -> Project:
    """Ten pictures, of which a round asks for p0, p1, p2 and the audit items."""
    project = made.pictures_project(folder)
    picks = [Pick(f"p{n}", f"reason {n}") for n in range(3)]
    picks += [Pick(item, "to score the model", audit=True) for item in audit]
    project.add_round(Round(0, "random", 0, tuple(picks)))
    return project


class Page:
    """A browser's tab: the cookie, the token and the origin go along with what it sends."""

    def __init__(self, desk: Desk, name: str | None = "me", host: str = HERE) -> None:
        self.client = TestClient(
            make_app(desk), base_url=host, headers={"Origin": host}, follow_redirects=False
        )
        self.cookie = cookie_name(desk.project.folder)
        if name is not None:
            token = begin_session(desk.project.engine, name)
            self.client.cookies.set(self.cookie, token)
            self.client.headers["X-CSRF-Token"] = self.get("session").json()["csrf"]

    def send(self, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, f"/api/{path}", **options)

    def get(self, path: str, **options: Any) -> Any:
        return self.send("GET", path, **options)

    def post(self, path: str, body: Any = None) -> Any:
        return self.send("POST", path, json=body)

    def item(self, item: str, rest: str = "") -> str:
        return f"items/{quote(item, safe='')}{rest}"

    def take(self, item: str) -> Any:
        return self.post("leases", {"item": item})

    def draw(
        self, item: str, mask: np.ndarray | bytes, sequence: int = 1, kind: str = "mask",
        seconds: float = 12.5,
    ) -> Any:  # fmt: skip
        query = {"sequence": sequence, "kind": kind, "seconds": seconds}
        body = mask if isinstance(mask, bytes) else png(mask)
        return self.send("PUT", self.item(item, "/draft"), params=query, content=body)

    def hand_in(self, item: str, sequence: int = 1, base: int | None = None, **more: Any) -> Any:
        given = {"kind": "mask", "seconds": 12.5, "sequence": sequence, "base": base, **more}
        return self.post(self.item(item, "/answer"), given)

    def label(self, item: str, mask: np.ndarray, sequence: int = 1) -> Any:
        answer = self.take(item)
        assert answer.status_code == 200, answer.text
        taken = answer.json()
        drawn = self.draw(item, mask, sequence)
        assert drawn.status_code == 200, drawn.text
        return self.hand_in(item, sequence, taken["revision"])


def page(project: Project, **more: Any) -> Page:
    """Somebody at this computer."""
    return Page(Desk(project, Link(), **more))


def refused(answer: Any, status: int, words: str = "") -> dict[str, Any]:
    """That a request was refused with one sentence; what else it says."""
    assert answer.status_code == status, (answer.status_code, answer.text)
    told = answer.json()
    detail = told["detail"]
    assert isinstance(detail, str)
    assert words in detail, detail
    assert "\n" not in detail
    return told


def content(project: Project) -> str:
    """All that a project holds: rows and files, to see that nothing was written."""
    with project.engine.begin() as connection:
        names = connection.exec_driver_sql(
            "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT IN ('session')"
        )
        tables = {
            name: [
                list(map(str, row)) for row in connection.exec_driver_sql(f'SELECT * FROM "{name}"')
            ]
            for (name,) in names.all()
        }
    files = sorted(
        f"{path.relative_to(project.folder)} {path.stat().st_size}"
        for path in project.folder.rglob("*")
        if path.is_file() and not path.name.startswith("project.db")
    )
    return json.dumps([tables, files], sort_keys=True)
