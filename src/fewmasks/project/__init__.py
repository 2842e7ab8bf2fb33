"""The project folder and its database: the only thing that writes."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from fewmasks.project.creation import Import, create
    from fewmasks.project.folder import LabelRecord, Project, open_project

HEAD = "0004"
"""The revision of the tables; a test holds it equal to the newest of the migrations."""

__all__ = ["Import", "LabelRecord", "Project", "create", "open_project"]


_HOME = {"Import": "creation", "create": "creation"} | dict.fromkeys(
    ("LabelRecord", "Project", "open_project"), "folder"
)


def __getattr__(name: str) -> Any:
    # Reading image files costs imports that opening a project should not wait for, and arrays
    # cost some that `fewmasks info` should not.
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOME[name]}"), name)
