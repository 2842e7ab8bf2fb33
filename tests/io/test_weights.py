"""A hash by which weights are known."""

import hashlib

from fewmasks.io import weights
from fewmasks.io.weights import weights_digest


def test_a_file_has_the_hash_that_other_tools_say(tmp_path, monkeypatch):
    monkeypatch.setattr(weights, "BLOCK", 3)
    (tmp_path / "start.safetensors").write_bytes(b"0123456789")
    found = weights_digest(tmp_path / "start.safetensors")
    assert found == hashlib.sha256(b"0123456789").hexdigest()


def test_settings_and_weights_of_a_folder_count_and_nothing_else(tmp_path):
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = weights_digest(tmp_path)
    (tmp_path / "README.md").write_text("words")
    (tmp_path / ".cache").mkdir()
    assert weights_digest(tmp_path) == before
    (tmp_path / "config.json").write_text("{ }")
    changed = weights_digest(tmp_path)
    (tmp_path / "model.safetensors").write_bytes(b"Weights")
    assert len({before, changed, weights_digest(tmp_path)}) == 3
