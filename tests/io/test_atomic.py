from pathlib import Path

import pytest

from fewmasks.io.atomic import atomic


def test_the_new_content_replaces_the_old(tmp_path: Path):
    path = tmp_path / "a.txt"
    for content in (b"old", b"new"):
        with atomic(path) as file:
            file.write(content)
            assert not path.exists() or path.read_bytes() != content
        assert path.read_bytes() == content
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]


def write_half(path: Path) -> None:
    with atomic(path) as file:
        file.write(b"half")
        raise ValueError("in the middle")


def test_a_write_that_fails_leaves_the_old_content_alone(tmp_path: Path):
    path = tmp_path / "a.txt"
    path.write_bytes(b"old")
    with pytest.raises(ValueError, match="in the middle"):
        write_half(path)
    assert path.read_bytes() == b"old"
    assert [p.name for p in tmp_path.iterdir()] == ["a.txt"]
