"""What a job does: train on all labels, ask again, predict what was asked. Runs as a program.

`python -m fewmasks.server.work PROJECT [options of fewmasks next]`, one command after the other;
each keeps what it did, so that a job that was killed can simply be started again.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

from fewmasks.project.summary import summarise

FEWMASKS = (sys.executable, "-c", "from fewmasks.cli.main import main; main()")
OVERLAYS = (sys.executable, "-m", "fewmasks.cli.overlays")
POLITENESS = 5
"""So that people who label meanwhile do not wait for the processor."""


def main(folder: str, *options: str) -> int:
    """Do all of it; the last line of the output says how it ended."""
    os.nice(POLITENESS)
    for command in (_train, _ask, _overlays):
        done = command(folder, options)
        if done is not None and done.returncode != 0:
            _say({"state": "failed"})
            return 1
    _say({"state": "done"})
    return 0


def _train(folder: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[bytes] | None:
    del options
    if not sum(summarise(Path(folder))["labels"].values()):
        _tell("no label yet: nothing to train on")
        return None
    return subprocess.run([*FEWMASKS, "train", folder], check=False)


def _ask(folder: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[bytes] | None:
    still_open = summarise(Path(folder))["open_picks"]
    if still_open:
        _tell(f"{still_open} items of the round are still open: no new ones are asked for")
        return None
    return subprocess.run([*FEWMASKS, "next", folder, *options], check=False)


def _overlays(folder: str, options: tuple[str, ...]) -> subprocess.CompletedProcess[bytes] | None:
    del options
    if not summarise(Path(folder))["trainings"]:
        return None
    return subprocess.run([*OVERLAYS, folder], check=False)


def _tell(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()


def _say(told: dict[str, str]) -> None:
    _tell(json.dumps(told))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
