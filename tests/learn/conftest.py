"""A project that is trained once for all tests of a file."""

import shutil

import pytest
from tests.study import made

from fewmasks.interop.labels import label_from_reference
from fewmasks.learn import session
from fewmasks.project import open_project


@pytest.fixture(scope="module")
def trained_once(tmp_path_factory):
    """Pictures with six labels and a model."""
    project = made.fast(made.pictures(tmp_path_factory.mktemp("trained")))
    label_from_reference(project, [f"p{k:02d}" for k in (0, 1, 2, 3, 4, 6)])
    session.train(project)
    return project


@pytest.fixture
def trained(trained_once, tmp_path):
    return made.fast(open_project(shutil.copytree(trained_once.folder, tmp_path / "project")))
