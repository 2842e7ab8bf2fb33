"""The server keeps to its own description, whatever is asked of it."""

from typing import Any

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis.checks import not_a_server_error
from schemathesis.generation import GenerationMode
from schemathesis.specs.openapi import checks
from tests.project import made as projects
from tests.server import made
from tests.server.test_monailabel import add_people

from fewmasks.server.app import make_app
from fewmasks.server.attempts import Attempts
from fewmasks.server.auth import cookie_name
from fewmasks.server.desk import Desk
from fewmasks.server.sessions import begin_session, csrf_of

pytestmark = pytest.mark.slow

CHECKS = [
    not_a_server_error, checks.status_code_conformance, checks.content_type_conformance,
    checks.response_schema_conformance,
]  # fmt: skip
REQUESTS_A_ROUTE = 8
HERE = "http://testserver"
SIGNS_OUT = ("DELETE", "/api/session")
KNOWN = {"id": "p0", "image": "p0", "label": "p0", "model": "fewmasks", "strategy": "round"}
"""Names that are there, so that the requests do not all end at the door."""


@pytest.fixture
def desk(tmp_path):
    project = made.asking(tmp_path)
    add_people(project)
    project.add_labels([projects.label("p1")], 0)
    many = Attempts(per_name=10**6, per_address=10**6)
    return Desk(project, None, attempts=many, work=("false",))


def signed_in(desk: Desk) -> dict[str, str]:
    """What the page and a program send along."""
    token = begin_session(desk.project.engine, "olga")
    return {
        "Cookie": f"{cookie_name(desk.project.folder)}={token}",
        "X-CSRF-Token": csrf_of(token),
        "Authorization": f"bearer {token}",
        "Origin": HERE,
    }


def ask(operation: Any, mode: GenerationMode, headers: dict[str, str], is_known: bool) -> int:
    """Requests made up from the description of one route, each answer held against it."""
    asked = 0

    @settings(
        max_examples=REQUESTS_A_ROUTE, database=None, deadline=None, derandomize=True,
        suppress_health_check=list(HealthCheck), phases=[Phase.generate],
    )  # fmt: skip
    @given(case=operation.as_strategy(generation_mode=mode))
    def every(case: Any) -> None:
        nonlocal asked
        for part in (case.path_parameters, case.query):
            for name in (part or {}).keys() & KNOWN.keys() if is_known else ():
                part[name] = KNOWN[name]
        answer = case.call(headers=headers)
        case.validate_response(answer, checks=CHECKS)
        if answer.status_code >= 400:
            assert isinstance(answer.json()["detail"], str)
        asked += 1

    try:
        every()
    except Unsatisfiable:  # there is nothing that could be wrong about it
        assert mode is GenerationMode.NEGATIVE
    return asked


@pytest.mark.timeout(600)
@pytest.mark.parametrize("is_known", [True, False])
@pytest.mark.parametrize("mode", list(GenerationMode))
def test_every_answer_is_as_described_and_none_is_a_fault(desk, mode, is_known):
    schema = schemathesis.openapi.from_asgi("/api/openapi.json", make_app(desk))
    headers = signed_in(desk)
    asked = {}
    for found in schema.get_all_operations():
        operation = found.ok()
        if (operation.method.upper(), operation.path) != SIGNS_OUT:
            asked[operation.label] = ask(operation, mode, headers, is_known)
    assert len(asked) >= 40
    assert sum(asked.values()) > 100
