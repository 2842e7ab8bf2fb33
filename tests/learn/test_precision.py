"""The precision of a machine: tried once, then kept."""

import json

import torch

from fewmasks.learn import precision
from fewmasks.learn.precision import choose_precision, settled_precision

CPU = torch.device("cpu")


def test_a_trial_gives_one_of_two_and_the_same_again():
    assert {choose_precision(CPU) for _ in range(3)} in ({"bf16"}, {"fp32"})


def test_what_was_found_once_holds_in_this_folder(tmp_path, monkeypatch):
    first = settled_precision(CPU, tmp_path)
    other = {"bf16": "fp32", "fp32": "bf16"}[first]
    monkeypatch.setattr(precision, "choose_precision", lambda device: other)
    assert settled_precision(CPU, tmp_path) == first
    assert settled_precision(CPU, tmp_path / "elsewhere") == other


def test_a_project_that_moves_to_another_machine_is_tried_there(tmp_path, monkeypatch):
    monkeypatch.setattr(precision, "choose_precision", lambda device: "bf16")
    settled_precision(CPU, tmp_path)
    monkeypatch.setattr(precision, "_processor", lambda: "abacus")
    monkeypatch.setattr(precision, "choose_precision", lambda device: "fp32")
    assert settled_precision(CPU, tmp_path) == "fp32"
    settled = json.loads((tmp_path / "precision.json").read_text())
    assert sorted(settled.values()) == ["bf16", "fp32"]
