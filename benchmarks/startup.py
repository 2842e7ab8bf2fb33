"""How long the commands that only look take to answer: python benchmarks/startup.py

Best of five wall times, interpreter included. Fails if `--help` imports a heavy library, or if
an answer takes longer than it must. On a busy machine the musts grow with the time of bare Python.
"""

import csv
import re
import subprocess
import sys
import tempfile
import time
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image

MUST_MS = {"--help": 150, "info": 150, "import": 150}
STRETCH_MS = {"--help": 80, "info": 100, "import": 80}
HEAVY = ("torch", "monai", "sklearn", "scipy", "pandas")
REPEATS = 5
PYTHON_MS = 10
"""What bare Python takes on the idle machine that the musts were set on."""
CLI = [sys.executable, "-c", "from fewmasks.cli.main import main; main()"]


def main() -> int:
    """Print one line per command; 1 if a must is missed."""
    bare = min(_milliseconds([sys.executable, "-c", "pass"]) for _ in range(REPEATS))
    slowness = max(1.0, bare / PYTHON_MS)
    print(f"python   {bare:5.0f} ms   this machine now: {slowness:.1f} times the musts")
    good = [_report("import", [sys.executable, "-c", "import fewmasks"], slowness)]
    if find_spec("fewmasks.cli.main") is None:
        print("--help and info are skipped: there is no command line yet")
        return int(not all(good))
    with tempfile.TemporaryDirectory() as folder:
        project = _tiny_project(Path(folder))
        good.append(_report("--help", [*CLI, "--help"], slowness))
        good.append(_report("info", [*CLI, "info", str(project)], slowness))
    good.append(_is_light([*CLI, "--help"]))
    return int(not all(good))


def _report(name: str, command: list[str], slowness: float) -> bool:
    best = min(_milliseconds(command) for _ in range(REPEATS))
    good = best <= MUST_MS[name] * slowness
    verdict = "ok" if good else "TOO SLOW"
    print(f"{name:8} {best:5.0f} ms   must {MUST_MS[name]}, stretch {STRETCH_MS[name]}   {verdict}")
    return good


def _milliseconds(command: list[str]) -> float:
    start = time.perf_counter()
    subprocess.run(command, capture_output=True, check=True)
    return 1000 * (time.perf_counter() - start)


def _is_light(command: list[str]) -> bool:
    """Whether no heavy library is among the imports of a command."""
    verbose = [command[0], "-X", "importtime", *command[1:]]
    ran = subprocess.run(verbose, capture_output=True, text=True, check=True)
    names = re.findall(r"^import time:.*\|\s*([\w.]+)$", ran.stderr, flags=re.MULTILINE)
    heavy = sorted({name.partition(".")[0] for name in names} & set(HEAVY))
    print(f"imports  {len(names)} modules, heavy ones: {', '.join(heavy) or 'none'}")
    return not heavy


def _tiny_project(folder: Path) -> Path:
    """A project of four small pictures."""
    rows = [["id", "image", "mask", "group"]]
    for place in range(4):
        for kind in ("image", "mask"):
            pixels = np.full((16, 16), place % 2, dtype=np.uint8)
            Image.fromarray(pixels).save(folder / f"{kind}{place}.png")
        rows.append([f"item{place}", f"image{place}.png", f"mask{place}.png", f"group{place}"])
    with (folder / "meta.csv").open("w", newline="", encoding="utf-8") as file:
        csv.writer(file).writerows(rows)
    project = folder / "project"
    table = ["create", str(project), "--table", str(folder / "meta.csv")]
    subprocess.run([*CLI, *table, "--classes", "outside,inside"], capture_output=True, check=True)
    return project


if __name__ == "__main__":
    sys.exit(main())
