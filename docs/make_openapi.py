"""Write docs/openapi.json from the server itself; `--check` only says whether it is up to date."""

import json
import sys
from pathlib import Path

from sqlalchemy import create_engine

from fewmasks.project import Project
from fewmasks.server.app import make_app
from fewmasks.server.desk import Desk

FILE = Path(__file__).with_name("openapi.json")


def description() -> str:
    """What every request takes and answers; no project is looked at."""
    nowhere = Project(Path("project"), create_engine("sqlite://"))
    return json.dumps(make_app(Desk(nowhere, None)).openapi(), indent=1, ensure_ascii=False) + "\n"


if __name__ == "__main__":
    if "--check" not in sys.argv:
        FILE.write_text(description(), encoding="utf-8")
    elif not FILE.exists() or FILE.read_text(encoding="utf-8") != description():
        sys.exit("docs/openapi.json: not what the server says; run: python docs/make_openapi.py")
