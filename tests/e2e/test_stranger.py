"""The path of somebody who has images, masks on paper, and an hour: through the real command."""

import json
import re
import subprocess
import sys
from pathlib import Path

import nibabel
import numpy as np
import pytest
from tests.makers import write_picture
from tests.project.made import write_volume
from tests.study import made

COMMAND = Path(sys.executable).with_name("fewmasks")
FAST = [word for setting in made.FAST for word in ("--set", setting)]


def fewmasks(*words) -> str:
    found = subprocess.run(
        [str(COMMAND), *map(str, words)], capture_output=True, text=True, check=False
    )
    assert found.returncode == 0, found.stderr
    return found.stdout


@pytest.mark.slow
def test_pictures_without_a_single_mask(tmp_path):
    """People label black and white masks; the test side is audited, as it has no references."""
    images = made.write_pictures(tmp_path / "study").parent / "images"
    project, drawn = tmp_path / "project", tmp_path / "drawn"
    fewmasks("create", project, "--images", images, "--classes", "background,cell")
    for number in range(2):
        strategy = "clasp-pe" if number else "entropy"
        asked = json.loads(
            fewmasks("next", project, "--strategy", strategy, "--limit", 3, "--json", *FAST)
        )
        assert asked["strategy"] == ("clasp-pe" if number else "random")
        assert sum(pick["audit"] for pick in asked["picks"]) == 1
        for pick in asked["picks"]:
            truth = made.blob(int(pick["item"][1:]))[1]
            write_picture(drawn / f"{pick['item']}.png", 255 * truth)
        out = fewmasks("label", project, "--from", drawn)
        assert "255 is read as class 1 (cell)" in out
        assert re.search(r"trained; Dice \d\.\d{4}", fewmasks("train", project, *FAST))
    summary = json.loads(fewmasks("info", project, "--json"))
    assert summary["labels"] == {"mask": 6, "scribble": 0}
    assert (summary["audited"], summary["open_picks"], summary["trainings"]) == (2, 0, 2)
    fewmasks("predict", project, "--images", images, "--out", tmp_path / "out")
    assert len(list((tmp_path / "out").glob("*.png"))) == 12


@pytest.mark.slow
def test_scans_with_references_for_the_test_side_only(tmp_path):
    study = made.write_volumes(tmp_path / "study").parent
    project = tmp_path / "project"
    table = study / "meta.csv"
    lines = table.read_text().splitlines()
    kept = [line if line.startswith("v3") else re.sub(r",masks/[^,]+", ",", line) for line in lines]
    table.write_text("\n".join([lines[0], *kept[1:]]) + "\n")
    fewmasks("create", project, "--table", table, "--classes", "background,cell")
    asked = json.loads(fewmasks("next", project, "--strategy", "strided", "--limit", 4, "--json"))
    items = [pick["item"] for pick in asked["picks"]]
    assert not any(pick["audit"] for pick in asked["picks"])
    for name in {item.partition("_")[0] for item in items}:
        number = int(name[1:])
        voxels = np.stack([made.blob(10 * number + z, 24)[1] for z in range(3)])
        write_volume(tmp_path / "drawn" / f"{name}.nii.gz", voxels, (3.0, 1.0, 0.5))
    assert "4 labels stored" in fewmasks("label", project, "--from", tmp_path / "drawn")
    assert "trained; Dice" in fewmasks("train", project, *FAST)
    fewmasks("next", project, "--strategy", "entropy", "--limit", 2)
    image = study / "images" / "v0.nii.gz"
    fewmasks("predict", project, "--images", image, "--out", tmp_path / "out", "--probabilities")
    given, found = nibabel.load(image), nibabel.load(tmp_path / "out" / "v0.nii.gz")
    np.testing.assert_array_equal(found.affine, given.affine)
    assert found.shape == given.shape
    assert np.load(tmp_path / "out" / "v0.nii.gz.probabilities.npy").shape == (2, 3, 24, 24)
