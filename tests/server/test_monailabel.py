"""MONAI Label's own client against our server, and what its masks of whole volumes become."""

import gzip
import json
import logging
import socket
import sys
import threading
import tracemalloc
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from tests.makers import write_nifti, write_picture, write_table
from tests.server import made

from fewmasks.cli.overlays import FOLDER as PREDICTIONS
from fewmasks.io import open_source
from fewmasks.io.masks import write_mask
from fewmasks.project import Import, Project, create
from fewmasks.project.schema import user, writing
from fewmasks.server.app import make_app
from fewmasks.server.clock import moment
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import Link, begin_session
from fewmasks.types import UNKNOWN, Label, Pick, Round

pytestmark = pytest.mark.slow
# MONAI Label's client leaves the closing of its sockets to the garbage collector.
leaves_sockets = pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")

CLIENTS = Path(sys.prefix) / "clients"
"""Where `make test` puts the client, without what it requires."""
PASSWORD = "correct horse"
CLASSES = ("background", "liver", "spleen")
DEPTH, HEIGHT, WIDTH = 5, 6, 8
# Stored from left to right, from front to back and from head to foot: every axis is turned.
TURNED = np.diag([2.0, 2.0, -3.0, 1.0])


def volumes(folder: Path, classes: tuple[str, ...] = CLASSES) -> Project:
    """Three volumes, of which the last is the test side; a round asks for slices 1 and 3 of v0."""
    rows = []
    for number in range(3):
        voxels = np.random.default_rng(number).integers(0, 999, (WIDTH, HEIGHT, DEPTH))
        path = folder / "study" / "images" / f"v{number}.nii.gz"
        write_nifti(path, voxels.astype(np.int16), TURNED)
        split = "test" if number == 2 else "train"
        image = f"images/v{number}.nii.gz"
        rows.append({"id": f"v{number}", "image": image, "group": f"g{number}", "split": split})
    table = write_table(folder / "study" / "meta.csv", rows)
    project = create(folder / "project", Import(table=table, classes=classes))
    picks = (Pick("v0_z1", "unsure"), Pick("v0_z3", "unsure"), Pick("v1_z0", "unlike others"))
    project.add_round(Round(0, "random", 0, picks))
    add_people(project)
    return project


@cache
def hashed() -> str:
    """Of the password, once for all: a hash is slow on purpose."""
    from pwdlib import PasswordHash

    return PasswordHash.recommended().hash(PASSWORD)


def add_people(project: Project) -> None:
    with writing(project.engine).begin() as connection:
        for name, role in (("ann", "annotator"), ("bob", "annotator"), ("olga", "owner")):
            given = {"name": name, "role": role, "password": hashed(), "created": moment()}
            connection.execute(user.insert(), given)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return volumes(tmp_path)


@contextmanager
def serving(desk: Desk) -> Iterator[str]:
    """The address of a real server in a thread."""
    import uvicorn

    listening = socket.create_server(("127.0.0.1", 0))
    settings = uvicorn.Config(
        make_app(desk), log_level=logging.WARNING, lifespan="off", ws="none", access_log=False
    )
    server = uvicorn.Server(settings)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
    thread.start()
    try:
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join()
        listening.close()


@pytest.fixture
def client_of(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Any:
    """Makes MONAI Label's client for a name; `make test` installs it, on a Python that runs it."""
    if sys.version_info >= (3, 13):
        pytest.skip("monailabel 0.8.5 needs the module cgi, which Python 3.13 has not")
    if not (CLIENTS / "monailabel").is_dir():
        pytest.skip(
            f"the client of MONAI Label is not in {CLIENTS}; run `make test`, or "
            f"pip install --no-deps --target {CLIENTS} -r tests/clients.txt"
        )
    monkeypatch.setattr(sys, "path", [*sys.path, str(CLIENTS)])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # it imports cgi
        from monailabel.client import MONAILabelClient

    def client_of(address: str, name: str, password: str = PASSWORD) -> Any:
        client = MONAILabelClient(f"{address}/monailabel/", tmpdir=str(tmp_path), client_id=name)
        assert client.auth_enabled()
        client.update_auth(client.auth_token(name, password))
        assert client.auth_valid_token()
        return client

    return client_of


def drawn(folder: Path, slices: dict[int, np.ndarray], affine: np.ndarray = TURNED) -> Path:
    """A label file as 3D Slicer saves it: number n is the n-th segment; slices by our z."""
    ours = np.zeros((DEPTH, HEIGHT, WIDTH), np.int16)
    for z, mask in slices.items():
        ours[z] = mask
    return write_nifti(folder / "drawn.nii.gz", stored(ours), affine)


def stored(ours: np.ndarray) -> np.ndarray:
    """Our z, y, x as the file has it, which runs against us along every axis."""
    return ours[::-1, ::-1, ::-1].transpose(2, 1, 0)


def half(number: int) -> np.ndarray:
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[:, : WIDTH // 2] = number
    return mask


def test_the_helper_turns_as_the_reader_does(tmp_path):
    ours = np.random.default_rng(0).integers(0, 9, (DEPTH, HEIGHT, WIDTH)).astype(np.int16)
    path = write_nifti(tmp_path / "x.nii.gz", stored(ours), TURNED)
    assert np.array_equal(open_source(path).read()[..., 0], ours)


@leaves_sockets
def test_the_unmodified_client_from_sign_in_to_training(project, client_of, tmp_path):
    """What the MONAI Label module of 3D Slicer does, call by call."""
    for z in (1, 3):
        row = int(project.pool.rows([f"v0_z{z}"])[0])
        (project.folder / PREDICTIONS).mkdir(exist_ok=True)
        write_mask(project.folder / PREDICTIONS / f"{row}.png", half(2))
    work = (sys.executable, "-c", "print('trained')\nprint('{\"state\": \"done\"}')")
    with serving(Desk(project, None, work=work)) as address:
        ann, olga = client_of(address, "ann"), client_of(address, "olga")
        told = ann.info()
        assert told["labels"] == ["liver", "spleen"]
        assert told["models"]["fewmasks"]["labels"] == {"liver": 1, "spleen": 2}
        assert told["models"]["fewmasks"]["dimension"] == 3
        assert told["datastore"] == {"total": 3, "completed": 0, "label_tags": {"final": 0}}
        strategy = next(iter(told["strategies"]))

        sample = ann.next_sample(strategy, {})
        assert (sample["id"], sample["slices"]) == ("v0", [1, 3])
        assert Path(sample["path"]).is_file()
        assert olga.next_sample(strategy, {})["id"] == "v1"  # what others hold is not offered

        file, params = ann.infer("fewmasks", "v0", {})
        predicted = open_source(Path(file)).read()[..., 0]
        assert params["label_names"] == {"spleen": 2}
        assert params["items"] == ["v0_z1", "v0_z3"]
        assert np.array_equal(predicted[1], half(2))
        assert not predicted[[0, 2, 4]].any()
        assert np.array_equal(nibabel.load(file).affine, TURNED)

        label_info = [{"name": "liver", "idx": 1}, {"name": "spleen", "idx": 2}]
        file = drawn(tmp_path, {1: half(1), 3: half(2)})
        taken = ann.save_label("v0", str(file), params={"label_info": label_info})
        assert taken["stored"] == ["v0_z1", "v0_z3"]
        assert np.array_equal(project.label("v0_z1").mask, half(1))
        assert np.array_equal(project.label("v0_z3").mask, half(2))
        assert [each.by for each in project.labels()] == ["ann", "ann"]
        assert [each.round for each in project.labels()] == [0, 0]

        objects = ann.datastore()["objects"]
        assert list(objects["v0"]["labels"]) == ["final"]
        assert objects["v1"]["labels"] == {}
        back = open_source(Path(ann.download_label("v0", "final"))).read()[..., 0]
        assert np.array_equal(back[1], half(1))
        assert (back[[0, 2, 4]] == UNKNOWN).all()
        assert ann.next_sample(strategy, {}) == {}  # olga holds the rest

        assert not ann.train_status(check_if_running=True)
        with pytest.raises(Exception, match="annotator"):
            ann.train_start("fewmasks", {})
        assert olga.train_start("fewmasks", {})["status"] in ("RUNNING", "DONE")
        while olga.train_status(check_if_running=True):
            pass
        assert olga.train_status()["status"] == "DONE"
        with pytest.raises(Exception, match="none runs"):
            olga.train_stop()


@leaves_sockets
def test_the_client_signs_in_by_the_token_of_the_link_once(project, client_of):
    link = Link()
    with serving(Desk(project, link)) as address:
        assert client_of(address, "me", link.token).info()["labels"] == ["liver", "spleen"]
        with pytest.raises(Exception, match="it works once"):
            client_of(address, "me", link.token)


class Program:
    """A program with a token, which names no origin."""

    def __init__(self, desk: Desk, name: str | None = "ann") -> None:
        self.client = made.Page(desk, None).client
        del self.client.headers["Origin"]
        if name is not None:
            token = begin_session(desk.project.engine, name)
            self.client.headers["Authorization"] = f"bearer {token}"

    def send(self, method: str, path: str, **options: Any) -> Any:
        return self.client.request(method, f"/monailabel/{path}", **options)

    def save(
        self, image: str, content: bytes | Path, name: str = "label.nii.gz", **params: Any
    ) -> Any:
        content = content if isinstance(content, bytes) else content.read_bytes()
        return self.send(
            "PUT",
            "datastore/label",
            params={"image": image},
            files={"label": (name, content)},
            data={"params": json.dumps(params)},
        )


@pytest.fixture
def desk(project: Project) -> Desk:
    return Desk(project, None, work=("false",))


def test_items_asked_for_get_masks_and_others_what_was_painted(project, desk, tmp_path):
    told = Program(desk).save("v0", drawn(tmp_path, {1: half(1), 2: half(2)}))
    assert told.json() == {
        "image": "v0", "label": "v0", "stored": ["v0_z1", "v0_z2", "v0_z3"], "left": {}
    }  # fmt: skip
    kinds = {each.item: each.kind for each in project.labels()}
    assert kinds == {"v0_z1": "mask", "v0_z2": "scribble", "v0_z3": "mask"}
    assert not project.label("v0_z3").mask.any()  # asked for and left empty: background
    painted = half(2)
    painted[painted == 0] = UNKNOWN
    assert np.array_equal(project.label("v0_z2").mask, painted)
    assert project.label("v0_z0") is None  # neither asked for nor painted: unknown


def test_what_others_said_stays_and_my_own_can_be_corrected(project, desk, tmp_path):
    project.add_labels([Label("v0_z3", "mask", half(1), 9.0, "bob")], 0)
    project.add_labels([Label("v0_z4", "mask", half(1), 9.0, "ann")])
    ann = Program(desk)
    all_of_it = {z: half(2) for z in range(DEPTH)}
    told = ann.save("v0", drawn(tmp_path, all_of_it)).json()
    assert told["stored"] == ["v0_z0", "v0_z1", "v0_z2"]
    assert told["left"] == {"v0_z3": "it has a mask by bob", "v0_z4": "it has a mask by ann"}
    told = ann.save("v0", drawn(tmp_path, {0: half(1), 1: half(1)})).json()
    assert told["stored"] == ["v0_z0", "v0_z1"]
    assert np.array_equal(project.label("v0_z1").mask, half(1))
    assert (project.label("v0_z2").mask == 2).any()  # unpainted replaces nothing
    before = made.content(project)
    assert ann.save("v0", drawn(tmp_path, {0: half(1), 1: half(1)})).status_code == 200
    assert made.content(project) == before  # the same again changes nothing
    made.refused(Program(desk, "bob").save("v0", drawn(tmp_path, {1: half(2)})), 409, "by ann")
    assert made.content(project) == before


def test_what_somebody_else_labels_now_is_left_to_them(project, desk, tmp_path):
    bob = made.Page(desk, "bob")
    assert bob.take("v0_z1").status_code == 200
    told = Program(desk).save("v0", drawn(tmp_path, {1: half(1), 3: half(1)})).json()
    assert told["stored"] == ["v0_z3"]
    assert told["left"] == {"v0_z1": "bob is labelling it"}


@pytest.fixture
def read_by_ann(tmp_path: Path) -> Project:
    """Two slices of v0 and one of v1 are to be read twice; ann has read one of each."""
    project = volumes(tmp_path)
    picks = tuple(Pick(item, "why", readings=2) for item in ("v0_z1", "v0_z3", "v1_z0"))
    project.add_round(Round(1, "random", 0, picks))
    project.add_labels([Label(item, "mask", half(1), 9.0, "ann") for item in ("v0_z1", "v1_z0")], 1)
    return project


def test_second_readings_are_not_offered_here(read_by_ann):
    desk = Desk(read_by_ann, None)
    ann, bob = Program(desk), Program(desk, "bob")
    assert bob.send("POST", "activelearning/round").json()["items"] == ["v0_z3"]
    assert ann.send("POST", "activelearning/round").json() == {}  # bob holds the only one
    read_by_ann.add_labels([Label("v0_z3", "mask", half(1), 9.0, "ann")], 1)
    for each in (ann, bob):
        assert each.send("POST", "activelearning/round").json() == {}
    listed = made.Page(desk, "bob").get("queue").json()["items"]
    assert {each["reading"] for each in listed} == {2}  # the page goes on asking for them


def test_second_readings_are_not_taken_here(read_by_ann, tmp_path):
    ann, bob = (Program(Desk(read_by_ann, None), name) for name in ("ann", "bob"))
    told = bob.save("v0", drawn(tmp_path, {1: half(2), 3: half(2)})).json()
    assert told["stored"] == ["v0_z3"]
    assert told["left"] == {"v0_z1": "second readings are given on the page"}
    before = made.content(read_by_ann)
    said = made.refused(bob.save("v1", drawn(tmp_path, {0: half(2)})), 409, "second readings")
    assert "ann" not in said["detail"]
    assert made.content(read_by_ann) == before
    told = ann.save("v1", drawn(tmp_path, {0: half(2)})).json()
    assert told["stored"] == ["v1_z0"]  # the first one's own may still be corrected


def test_labels_are_shown_to_no_second_reader(read_by_ann):
    desk = Desk(read_by_ann, None)
    ann, bob = Program(desk), Program(desk, "bob")
    read_by_ann.add_labels([Label("v0_z4", "mask", half(2), 9.0, "ann")])

    def shown(program: Program, image: str) -> Any:
        return program.send("GET", "datastore/label", params={"label": image})

    made.refused(shown(bob, "v1"), 404, "has no label that you may see")
    assert shown(ann, "v1").status_code == 200
    voxels = nibabel.Nifti1Image.from_bytes(gzip.decompress(shown(bob, "v0").content)).get_fdata()
    ours = voxels.transpose(2, 1, 0)[::-1, ::-1, ::-1]
    assert np.array_equal(ours[4], half(2))
    assert (ours[:4] == UNKNOWN).all()
    objects = bob.send("GET", "datastore/?output=all").json()["objects"]
    assert [name for name, each in objects.items() if each["labels"]] == ["v0"]
    read_by_ann.add_labels([Label("v1_z0", "mask", half(2), 9.0, "bob")], 1, reading=2)
    assert shown(bob, "v1").status_code == 200


@pytest.mark.parametrize("name", ["ann", "bob"])
def test_a_second_reading_never_makes_room_for_a_first_one(read_by_ann, tmp_path, name):
    second = half(1)
    second[0] = 0
    for item, mask in (("v1_z0", half(2)), ("v0_z1", second)):  # disputed, and alike
        read_by_ann.add_labels([Label(item, "mask", mask, 9.0, "bob")], 1, reading=2)
    program = Program(Desk(read_by_ann, None), name)
    before = made.content(read_by_ann)
    made.refused(program.save("v1", drawn(tmp_path, {0: half(2)})), 409, "a reviewer decides")
    assert made.content(read_by_ann) == before
    left = program.save("v0", drawn(tmp_path, {1: half(2), 3: half(2)})).json()["left"]
    # Alike, it is as any other label: the first reader may correct it, and nobody else.
    assert left == ({} if name == "ann" else {"v0_z1": "it has a mask by ann"})


def test_test_items_are_labelled_only_where_asked_for(project, desk, tmp_path):
    before = made.content(project)
    made.refused(Program(desk).save("v2", drawn(tmp_path, {1: half(1)})), 409, "test item")
    assert made.content(project) == before


def test_segments_are_told_by_their_names(project, desk, tmp_path):
    ann = Program(desk)
    names = [{"name": "spleen"}, {"name": "unknown"}, {"name": "liver"}]
    mask = np.zeros((HEIGHT, WIDTH), np.uint8)
    mask[0], mask[1], mask[2] = 1, 2, 3
    assert ann.save("v0", drawn(tmp_path, {1: mask}), label_info=names).status_code == 200
    found = project.label("v0_z1").mask
    assert [found[0, 0], found[1, 0], found[2, 0], found[3, 0]] == [2, UNKNOWN, 1, 0]
    before = made.content(project)
    file = drawn(tmp_path, {1: mask})
    made.refused(ann.save("v0", file, label_info=[{"name": "Segment_1"}]), 422, "is no class")
    made.refused(ann.save("v0", file, label_info=names[:2]), 422, "holds the number 3")
    twisted = [{"name": "liver", "idx": 2}]
    made.refused(ann.save("v0", file, label_info=twisted), 422, "comes as number 1")
    made.refused(ann.save("v0", file, label_info=3), 422, "label_info")
    made.refused(ann.save("v0", file), 422, "holds the number 3")
    assert made.content(project) == before


def test_without_a_background_unpainted_is_unknown(tmp_path):
    project = volumes(tmp_path, ("road", "house"))
    told = Program(Desk(project, None)).save("v0", drawn(tmp_path, {1: half(1), 2: half(2)}))
    assert told.json()["stored"] == ["v0_z1", "v0_z2"]
    for item, number in (("v0_z1", 0), ("v0_z2", 1)):
        mask = project.label(item).mask
        assert (mask[:, :4] == number).all()
        assert (mask[:, 4:] == UNKNOWN).all()


def test_pictures_are_labelled_by_png(tmp_path):
    project = made.asking(tmp_path)
    add_people(project)
    ann = Program(Desk(project, None))
    sample = ann.send("POST", "activelearning/round", json={}).json()
    assert (sample["id"], sample["slices"]) == ("p0", [0])
    file = ann.send("GET", "datastore/image", params={"image": "p0"})
    assert file.content == Path(sample["path"]).read_bytes()
    told = ann.save("p0", made.png(half(1)), "label.png").json()
    assert told["stored"] == ["p0"]
    assert np.array_equal(project.label("p0").mask, half(1))


REQUESTS = (
    ("GET", "auth/token/valid"), ("GET", "info/"), ("POST", "activelearning/round"),
    ("GET", "datastore/"), ("GET", "datastore/?output=all"), ("GET", "datastore/image?image=v0"),
    ("GET", "datastore/label?label=v0"), ("PUT", "datastore/label?image=v0"),
    ("POST", "infer/fewmasks?image=v0"), ("GET", "train/"), ("POST", "train/"),
    ("POST", "train/fewmasks"), ("DELETE", "train/"),
)  # fmt: skip


@pytest.mark.parametrize("token", [None, "bearer", "bearer wrong", "basic YW5uOng="])
def test_nothing_without_a_token(project, desk, token):
    stranger = Program(desk, None)
    before = made.content(project)
    headers = {} if token is None else {"Authorization": token}
    for method, path in REQUESTS:
        made.refused(stranger.send(method, path, headers=headers), 401, "token")
    assert made.content(project) == before


def test_the_cookie_of_a_browser_is_no_token(project, desk):
    tab = made.Page(desk, "ann")
    for method, path in REQUESTS:
        made.refused(tab.client.request(method, f"/monailabel/{path}"), 401)


def test_guessing_is_slowed_down_here_too(desk):
    stranger = Program(desk, None)
    for _ in range(5):
        answer = stranger.send("POST", "auth/token", data={"username": "ann", "password": "x"})
        made.refused(answer, 401)
    right = {"username": "ann", "password": PASSWORD}
    made.refused(stranger.send("POST", "auth/token", data=right), 429)


def test_other_sites_change_nothing(project, desk, tmp_path):
    ann = Program(desk)
    before = made.content(project)
    ann.client.headers["Origin"] = "http://evil.example"
    for method, path in REQUESTS:
        if method != "GET":
            made.refused(ann.send(method, path), 403, "origin")
    made.refused(ann.save("v0", drawn(tmp_path, {1: half(1)})), 403, "origin")
    assert made.content(project) == before


def test_annotators_do_not_train_here_either(project, desk):
    ann = Program(desk)
    for method, path in (("POST", "train/"), ("POST", "train/fewmasks"), ("DELETE", "train/")):
        made.refused(ann.send(method, path), 403, "annotator")
    assert not (project.folder / "jobs").exists()


@pytest.mark.parametrize(
    "name", ["../../project.db", "/etc/passwd", "v0_z1", "", "v0\0", "v" * 5000, "%2e%2e", "é"]
)
def test_paths_for_images(project, desk, tmp_path, name):
    ann = Program(desk)
    before = made.content(project)
    for method, path, key in (
        ("GET", "datastore/image", "image"), ("GET", "datastore/label", "label"),
        ("POST", "infer/fewmasks", "image"),
    ):  # fmt: skip
        made.refused(ann.send(method, path, params={key: name}), 404, "there is none called")
    made.refused(ann.save(name, drawn(tmp_path, {1: half(1)})), 404)
    made.refused(ann.send("POST", "infer/other", params={"image": "v0"}), 404, "model")
    made.refused(ann.send("POST", "activelearning/other"), 404, "strategy")
    made.refused(ann.send("PUT", "datastore/", params={"image": "new"}), 404)
    assert made.content(project) == before


def changed(folder: Path, dtype: type = np.uint8, shape: tuple[int, ...] = (), **header: Any):
    """A label file with other header fields than its content has."""
    voxels = stored(np.stack([half(1)] * DEPTH)).astype(dtype)
    path = write_nifti(folder / "changed.nii", voxels, TURNED, header)
    raw = bytearray(path.read_bytes())
    if shape:
        raw[40 : 40 + 2 * (1 + len(shape))] = np.array([len(shape), *shape], "<i2").tobytes()
    return gzip.compress(bytes(raw))


def hostile(folder: Path) -> dict[str, tuple[bytes, str, int, str]]:
    """Uploads and the name they come under; the status they get, and words of the sentence."""
    good = drawn(folder, {1: half(1)}).read_bytes()
    plain = gzip.decompress(good)
    elsewhere = np.diag([2.0, 2.0, -3.0, 1.0])
    elsewhere[0, 3] = 500.0
    other = write_nifti(folder / "o.nii.gz", np.ones((WIDTH, HEIGHT, 4), np.uint8), TURNED)
    return {
        "nothing": (b"", "x.nii.gz", 422, "cannot be read"),
        "no gzip": (plain, "x.nii.gz", 422, "cannot be read"),
        "cut": (good[: len(good) // 2], "x.nii.gz", 422, ""),
        "cut inside": (gzip.compress(plain[:-7]), "x.nii.gz", 422, ""),
        "header alone": (gzip.compress(plain[:352]), "x.nii.gz", 422, ""),
        "nrrd": (b"NRRD0004", "x.seg.nrrd", 415, "no NIfTI"),
        "no name": (good, "", 422, ""),
        "path for a name": (good, "../../x.txt", 415, "no NIfTI"),
        "other size": (other.read_bytes(), "x.nii.gz", 422, "4 x 6 x 8 x 1 voxels"),
        "elsewhere": (drawn(folder, {1: half(1)}, elsewhere).read_bytes(), "x.nii.gz", 422, "away"),
        "negative": (drawn(folder, {1: half(1) * -1.0}).read_bytes(), "x.nii.gz", 422, "negative"),
        "number 9": (drawn(folder, {1: half(9)}).read_bytes(), "x.nii.gz", 422, "number 9"),
        "nothing drawn": (drawn(folder, {}).read_bytes(), "x.nii.gz", 422, "nothing is painted"),
        "fractions": (changed(folder, scl_slope=0.5), "x.nii.gz", 422, "fractional"),
        "infinite": (changed(folder, scl_slope=np.inf), "x.nii.gz", 422, "scl_slope"),
        "voxels far away": (changed(folder, vox_offset=1e30), "x.nii.gz", 422, "begin at"),
        "voxels nowhere": (changed(folder, vox_offset=np.nan), "x.nii.gz", 422, "begin at"),
        "huge header": (changed(folder, shape=(8, 6, 30000)), "x.nii.gz", 422, "voxels"),
        "many channels": (changed(folder, shape=(8, 6, 5, 30000)), "x.nii.gz", 422, "30000"),
        "wide voxels": (changed(folder, datatype=1536), "x.nii.gz", 422, ""),
        "complex voxels": (changed(folder, np.complex64), "x.nii.gz", 422, ""),
        "too long": (bytes(1 << 21), "x.nii.gz", 413, "more than"),
    }


def test_hostile_label_files(project, desk, tmp_path):
    ann = Program(desk)
    before = made.content(project)
    for name, (content, called, status, words) in hostile(tmp_path).items():
        answer = ann.save("v0", content, called)
        assert answer.status_code == status, (name, answer.text)
        told = made.refused(answer, status, words)
        assert "/tmp/fewmasks" not in told["detail"], name
        assert made.content(project) == before, name


def test_a_bomb_is_never_unpacked(project, desk):
    """Sixty megabytes of zeros in sixty kilobytes, under the header of the image."""
    ann = Program(desk)
    header = gzip.decompress(Path(project.pool.items[0].source).read_bytes())[:352]
    bomb = gzip.compress(header + bytes(60_000_000))
    assert len(bomb) < 1 << 20
    ann.save("v0", b"")  # what is imported at first use
    tracemalloc.start()
    try:
        made.refused(ann.save("v0", bomb), 422, "nothing is painted")
        most = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert most < 10_000_000


def test_forms_that_are_none(project, desk):
    ann = Program(desk)
    before = made.content(project)
    for body, kind in (
        (b"", "multipart/form-data"), (b"x", "multipart/form-data; boundary=a"),
        (b"{}", "application/json"), (b"--a\r\n\r\n", "multipart/form-data; boundary=a"),
    ):  # fmt: skip
        answer = ann.send(
            "PUT", "datastore/label?image=v0", content=body, headers={"Content-Type": kind}
        )
        assert 400 <= answer.status_code < 500
        made.refused(answer, answer.status_code)
    many = {f"f{n}": "x" for n in range(50)}
    made.refused(ann.send("PUT", "datastore/label?image=v0", files={"label": b"x"}, data=many), 400)
    assert made.content(project) == before


def test_images_that_are_gone_or_of_another_kind(project, desk, tmp_path):
    ann = Program(desk)
    Path(project.pool.items[0].source).unlink()
    made.refused(ann.send("GET", "datastore/image", params={"image": "v0"}), 404, "no such file")
    made.refused(ann.save("v0", drawn(tmp_path, {1: half(1)})), 404, "no such file")


def test_predictions_are_of_open_training_items_alone(project, desk, tmp_path):
    ann = Program(desk)
    made.refused(ann.send("POST", "infer/fewmasks?image=v0"), 404, "train first")
    (project.folder / PREDICTIONS).mkdir()
    for item in ("v0_z1", "v0_z2", "v0_z3", "v2_z0"):
        row = int(project.pool.rows([item])[0])
        write_mask(project.folder / PREDICTIONS / f"{row}.png", half(1))
    project.add_labels([Label("v0_z3", "mask", half(1), 9.0, "bob")], 0)
    told = ann.send("POST", "infer/fewmasks?image=v0&output=json").json()
    assert told == {"label_names": {"liver": 1}, "items": ["v0_z1"], "slices": [3]}
    made.refused(ann.send("POST", "infer/fewmasks?image=v2"), 404)


def test_files_of_one_name_have_names_of_their_own(tmp_path):
    rows = []
    for number, name in enumerate(("a", "a_z1", "b")):
        voxels = np.random.default_rng(number).integers(0, 99, (8, 6, 1 + number % 2))
        write_nifti(tmp_path / f"{number}.nii.gz", voxels.astype(np.uint8), TURNED)
        rows.append({"id": name, "image": f"{number}.nii.gz", "group": name, "split": "train"})
    write_picture(tmp_path / "t.png", np.zeros((6, 8), np.uint8))
    from fewmasks.server.image_files import image_files

    project = create(tmp_path / "p", Import(table=write_table(tmp_path / "m.csv", rows)))
    names = image_files(project)
    assert len(names) == 3
    assert {item.id for each in names.values() for item in each.items} == set(
        project.pool.ids(np.arange(len(project.pool.items)))
    )
