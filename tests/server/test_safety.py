"""A real server, killed at any moment: what it acknowledged is there, and it goes on."""

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import httpx2
import numpy as np
import pytest
from tests.server import made

from fewmasks.project import open_project
from fewmasks.server import drafts

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-c", "from fewmasks.cli.main import main; main()", "serve"]
TIMES = 5


class Server:
    """`fewmasks serve` in a process of its own, and a browser that used its link."""

    def __init__(self, folder: Path) -> None:
        command = [*PROGRAM, str(folder), "--port", "0"]
        self.process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
        link = self.process.stdout.readline().strip()
        self.address = f"http://{urlsplit(link).netloc}"
        self.token = parse_qs(urlsplit(link).query)["token"][0]
        self.browser = httpx2.Client(base_url=self.address, headers={"Origin": self.address})
        self.browser.get("/", params={"token": self.token})
        csrf = self.browser.get("/api/session").json()["csrf"]
        self.browser.headers["X-CSRF-Token"] = csrf

    def kill(self) -> None:
        os.kill(self.process.pid, signal.SIGKILL)
        self.process.communicate()

    def end(self) -> int:
        self.browser.close()
        self.process.communicate()
        return self.process.returncode

    def draw(self, item: str, sequence: int) -> bool:
        query = {"sequence": sequence, "kind": "mask", "seconds": sequence}
        body = made.png(drawing(sequence))
        return self.browser.put(f"/api/items/{item}/draft", params=query, content=body).is_success


def drawing(sequence: int) -> np.ndarray:
    return np.random.default_rng(sequence).integers(0, 2, (6, 8), dtype=np.uint8)


def draw_until_killed(server: Server, item: str, first: int, acknowledged: list[int]) -> None:
    for sequence in range(first, 10**6):
        try:
            if not server.draw(item, sequence):
                return
        except httpx2.HTTPError:
            return
        acknowledged.append(sequence)


@pytest.mark.slow
def test_killed_in_the_middle_of_drawing_no_acknowledged_stroke_is_lost(tmp_path):
    folder = made.asking(tmp_path).folder
    rng = np.random.default_rng(0)
    reached = {"p0": 0, "p1": 0}
    for turn in range(TIMES):
        server = Server(folder)
        said: dict[str, list[int]] = {item: [] for item in reached}
        for item in reached:
            seen = server.browser.post("/api/leases", json={"item": item}).json()
            # What was on its way when the server was killed may have arrived.
            assert seen["sequence"] >= reached[item]
            reached[item] = seen["sequence"]
        hands = [
            threading.Thread(target=draw_until_killed, args=(server, item, start + 1, said[item]))
            for item, start in reached.items()
        ]
        for hand in hands:
            hand.start()
        while min(map(len, said.values())) < 3 + turn:
            time.sleep(0.005)
        time.sleep(float(rng.uniform(0, 0.05)))
        server.kill()
        for hand in hands:
            hand.join()
        server.browser.close()
        project = open_project(folder)
        with project.engine.begin() as connection:
            assert connection.exec_driver_sql("PRAGMA integrity_check").scalar() == "ok"
            for item, sequences in said.items():
                row = int(project.pool.rows([item])[0])
                found = drafts.draft_of(connection, row, "me")
                reached[item] = max(sequences)
                assert found.said.sequence >= max(sequences)
                assert found.said.seconds == found.said.sequence
                np.testing.assert_array_equal(
                    drafts.read(project, found), drawing(found.said.sequence)
                )
    drafts.sweep(project)
    assert len(list((folder / "drafts").iterdir())) == 2


@pytest.mark.slow
def test_a_server_that_is_stopped_leaves_at_once_and_the_session_goes_on(tmp_path):
    folder = made.asking(tmp_path).folder
    first = Server(folder)
    cookies = dict(first.browser.cookies)
    os.kill(first.process.pid, signal.SIGINT)
    assert first.end() in (0, 130)
    second = Server(folder)
    again = httpx2.Client(base_url=second.address, cookies=cookies)
    assert again.get("/api/session").json()["user"] == "me"
    assert httpx2.get(f"{second.address}/?token={first.token}").status_code == 403
    again.close()
    second.kill()
    second.browser.close()


# FastAPI silences this warning while it reads its own routes, which it does at the first request of
# each and not safely where ten come at once.
@pytest.mark.filterwarnings("ignore::pydantic.warnings.UnsupportedFieldAttributeWarning")
@pytest.mark.slow
def test_ten_people_at_once_never_share_an_item(tmp_path):
    """Each takes what is open, draws and answers, until all is done; every answer is there."""
    from tests.project import made as projects

    from fewmasks.server.accounts import add_user
    from fewmasks.server.desk import Desk
    from fewmasks.types import Pick, Round

    project = projects.pictures_project(tmp_path, n=50)
    asked = tuple(Pick(item, "") for item in project.pool.ids(project.train))
    project.add_round(Round(0, "random", 0, asked))
    names = [f"person {n}" for n in range(10)]
    for name in names:
        add_user(project.engine, name, "annotator", "correct horse")
    desk = Desk(project, None)
    pages = {name: made.Page(desk, name) for name in names}

    def work(name: str) -> list[str]:
        mine, page = [], pages[name]
        while True:
            queue = page.get("queue").json()["items"]
            left = [each["item"] for each in queue if each["state"] in ("open", "mine")]
            if not left:
                return mine
            taken = page.take(left[0])
            if taken.status_code == 200 and taken.json()["revision"]:
                page.send("DELETE", f"leases/{left[0]}")  # answered since the queue was read
            elif taken.status_code == 200:
                assert page.draw(left[0], drawing(len(mine))).status_code == 200
                assert page.hand_in(left[0]).status_code == 200
                mine.append(left[0])

    with ThreadPoolExecutor(len(names)) as crowd:
        done = dict(zip(names, crowd.map(work, names), strict=True))
    labelled = [item for items in done.values() for item in items]
    assert sorted(labelled) == sorted(pick.item for pick in asked)
    by = {record.item: record.by for record in project.labels()}
    assert by == {item: name for name, items in done.items() for item in items}
