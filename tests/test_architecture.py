"""The code keeps the shape it was given: layers, a light half, short functions, plain names."""

import ast
import importlib
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "fewmasks"
FILES = sorted(SOURCE.rglob("*.py"))

LIGHT = ("query", "io", "loop", "project", "pool", "types", "config", "cli", "testing", "server")
HEAVY = ("torch", "monai", "scipy", "sklearn", "pandas")
# An optional library is imported in one file, so that one sentence says what to install.
OPTIONAL = (
    "nilearn", "pydicom", "rasterio", "openslide", "ray", "psycopg", "highdicom", "onnx", "pytest",
    "pwdlib", "uvicorn", "transformers", "huggingface_hub", "openTSNE",
)  # fmt: skip
LONGEST = 60
LONGEST_IN = {"learn/train.py": 90}  # the training loop is one story
NAMES_THAT_SAY_NOTHING = {"utils", "util", "base", "common", "helpers", "helper", "misc"}
# Families of classes that other libraries make to be derived from, and the one of pre-training.
MADE_TO_DERIVE = {"Exception", "BaseModel", "DeclarativeBase", "Module", "Objective"}

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def trees() -> list[tuple[str, ast.Module]]:
    return [
        (path.relative_to(SOURCE).as_posix(), ast.parse(path.read_text(encoding="utf-8")))
        for path in FILES
    ]


def functions() -> Iterator[tuple[str, Function]]:
    for name, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, Function):
                yield name, node


def length(function: Function) -> int:
    """Lines from `def` to the end, without the docstring."""
    lines = function.end_lineno - function.lineno + 1
    first = function.body[0]
    if ast.get_docstring(function) is not None:
        lines -= first.end_lineno - first.lineno + 1
    return lines


def arguments(function: Function) -> list[ast.arg]:
    """What a caller may pass; `self` and `cls` are not passed."""
    spec = function.args
    named = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    starred = [arg for arg in (spec.vararg, spec.kwarg) if arg]
    return [arg for arg in named if arg.arg not in ("self", "cls")] + starred


def imported(tree: ast.Module) -> Iterator[tuple[str, int]]:
    """The package each import statement starts from, and the column it stands in."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name.split(".")[0], node.col_offset) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.split(".")[0], node.col_offset


def last_name(node: ast.expr) -> str:
    """`Module` of `nn.Module`, `Generic` of `Generic[T]`."""
    if isinstance(node, ast.Subscript):
        return last_name(node.value)
    return node.attr if isinstance(node, ast.Attribute) else getattr(node, "id", "")


def caught(handler: ast.ExceptHandler) -> set[str]:
    """Names of the exceptions of one `except`; a bare one catches all."""
    if handler.type is None:
        return {"BaseException"}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {last_name(kind) for kind in kinds}


def test_imports_point_down_only():
    program = "from importlinter.cli import lint_imports_command; lint_imports_command()"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_part_has_its_layer():
    """A new module of the first level must be given a place in pyproject.toml."""
    text = (ROOT / "pyproject.toml").read_text(encoding="utf-8")
    parts = {path.stem for path in SOURCE.glob("*.py")} - {"__init__", "__main__"}
    parts |= {path.parent.name for path in SOURCE.glob("*/__init__.py")}
    assert {part for part in parts if f"fewmasks.{part}" not in text} == set()


@pytest.mark.slow
def test_the_light_half_leaves_the_heavy_libraries_alone():
    """Importing any of it in one fresh process loads none of them."""
    program = f"""
import importlib, pkgutil, sys
import fewmasks
for part in {LIGHT!r}:
    module = importlib.import_module("fewmasks." + part)
    for found in pkgutil.walk_packages(getattr(module, "__path__", []), module.__name__ + "."):
        importlib.import_module(found.name)
print(*sorted(set({HEAVY!r}) & set(sys.modules)))
"""
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stdout.strip()) == (0, ""), done.stderr


def test_functions_are_short():
    too_long = [
        f"{name}:{function.lineno} {function.name} has {length(function)} lines"
        for name, function in functions()
        if length(function) > LONGEST_IN.get(name, LONGEST)
    ]
    assert too_long == []


def test_nine_functions_in_ten_are_very_short():
    assert np.percentile([length(function) for _, function in functions()], 90) <= 30


def test_functions_take_few_arguments():
    """The arguments of a command are its options, of which there may be more."""
    too_many = [
        f"{name}:{function.lineno} {function.name} takes {len(arguments(function))}"
        for name, function in functions()
        if len(arguments(function)) > 8 and not name.startswith("cli/")
    ]
    assert too_many == []


def test_every_argument_and_result_is_annotated():
    bare = [
        f"{name}:{function.lineno} {function.name}"
        for name, function in functions()
        if function.returns is None or any(arg.annotation is None for arg in arguments(function))
    ]
    assert bare == []


def test_file_names_say_something():
    assert [path for path in FILES if path.stem.strip("_") in NAMES_THAT_SAY_NOTHING] == []
    assert [path for path in SOURCE.rglob("*") if path.name in NAMES_THAT_SAY_NOTHING] == []


def test_classes_do_not_derive_from_each_other():
    bases: dict[str, set[str]] = {}
    for _, tree in trees():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                above = {last_name(base) for base in node.bases} - {node.name}
                bases.setdefault(node.name, set()).update(above)

    def family(name: str) -> set[str]:
        return {name}.union(*(family(base) for base in bases.get(name, ())))

    derived = [
        f"{name}({base})"
        for name, above in bases.items()
        for base in above
        if base in bases and not family(base) & MADE_TO_DERIVE
    ]
    assert derived == []


def test_no_failure_is_swallowed():
    """A handler for everything may tidy up, but must end with a bare `raise`."""
    swallowing = [
        f"{name}:{node.lineno}"
        for name, tree in trees()
        for node in ast.walk(tree)
        if isinstance(node, ast.ExceptHandler)
        and {"Exception", "BaseException"} & caught(node)
        and not (isinstance(node.body[-1], ast.Raise) and node.body[-1].exc is None)
    ]
    assert swallowing == []


@pytest.mark.slow
@pytest.mark.parametrize("library", OPTIONAL)
def test_an_optional_library_is_imported_in_one_function_of_one_file(library: str):
    found = [
        (name, column)
        for name, tree in trees()
        for package, column in imported(tree)
        if package == library
    ]
    assert len({name for name, _ in found}) <= 1, found
    assert all(column > 0 for _, column in found), found


@pytest.mark.slow
def test_scripts_outside_the_package_import_names_that_are_there():
    """Nothing else runs most of them before a release."""
    scripts = [
        path for part in ("benchmarks", "docs", "examples") for path in (ROOT / part).rglob("*.py")
    ]
    assert scripts
    for path in scripts:
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("fewmasks"):
                module = importlib.import_module(node.module)
                for alias in node.names:
                    is_there = hasattr(module, alias.name) or find_spec(
                        f"{node.module}.{alias.name}"
                    )
                    assert is_there, f"{path.relative_to(ROOT)}: {node.module}.{alias.name}"
