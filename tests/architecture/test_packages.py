"""Files, packages and imports that one can import at a glance."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

import draw_packages
import pytest

from tests.architecture.source import FOLDERS, PACKAGES, ROOT, files, module_name, modules, project_imports

LINES_IN_A_FILE = 400
MODULES_IN_A_PACKAGE = 15
SCRIPTS = {"vendor", "dist", "node_modules"}
# Lowest first; a package imports those before it.
CLASSIFIER = (
    "errors",
    "reasons",
    "result_warnings",
    "contract",
    "text_encoding",
    "images",
    "networks",
    "artifact",
    "data",
    "inference",
    "evaluation",
    "training",
    "drift",
    "phantom",
    "cli",
)
UPWARD = {("errors", "reasons")}


def test_files_stay_short():
    python = files(*FOLDERS, "tools", "clients")
    scripts = [p for p in (ROOT / "static" / "js").rglob("*.js") if not SCRIPTS & set(p.parts)]
    long = {
        str(path.relative_to(ROOT)): lines
        for path in (*python, *scripts)
        if (lines := len(path.read_text().splitlines())) > LINES_IN_A_FILE
    }
    assert not long


def test_packages_stay_small():
    members: dict[Path, set[str]] = defaultdict(set)
    for path in files(*PACKAGES):
        if path.name != "__init__.py":
            members[path.parent].add(path.name)
        elif path.parent.name not in PACKAGES:
            members[path.parent.parent].add(path.parent.name)
    wide = {
        str(folder.relative_to(ROOT)): len(found)
        for folder, found in members.items()
        if len([name for name in found if name.endswith(".py")]) > MODULES_IN_A_PACKAGE
    }
    assert not wide


def test_no_modules_import_each_other_in_a_circle():
    assert not circles({name: top_level(path) for name, path in modules().items()})


def top_level(path: Path) -> set[str]:
    """What a module imports of the project when it is loaded; packages around a module do not count."""
    own = module_name(path)
    return {n for n in project_imports(path, lazy=False) if n != own and not own.startswith(f"{n}.")}


def circles(graph: dict[str, set[str]]) -> list[list[str]]:
    """Strongly connected components of more than one module (Tarjan)."""
    index: dict[str, int] = {}
    low: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(name: str) -> None:
        index[name] = low[name] = len(index)
        stack.append(name)
        for target in sorted(graph[name] & graph.keys()):
            if target not in index:
                visit(target)
                low[name] = min(low[name], low[target])
            elif target in stack:
                low[name] = min(low[name], index[target])
        if low[name] == index[name]:
            at = stack.index(name)
            if len(stack) - at > 1:
                found.append(sorted(stack[at:]))
            del stack[at:]

    for name in sorted(graph):
        if name not in index:
            visit(name)
    return found


def test_the_packages_of_the_classifier_import_only_lower_ones():
    order = {name: place for place, name in enumerate(CLASSIFIER)}
    upward = defaultdict(set)
    for path in files("classifier"):
        parts = module_name(path).split(".")
        for target in project_imports(path):
            other = target.split(".")
            if parts[0] != other[0] or len(parts) < 2 or len(other) < 2 or parts[1] not in order:
                continue
            if order[other[1]] > order[parts[1]] and (parts[1], other[1]) not in UPWARD:
                upward[module_name(path)].add(target)
    assert not upward


def test_every_package_of_the_classifier_has_its_place():
    found = {
        p.stem for p in (ROOT / "classifier").iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()
    }
    assert found - {"__init__", "__main__"} == set(CLASSIFIER)


@pytest.mark.parametrize(
    ("graph", "expected"),
    [
        ({"a": {"b"}, "b": {"c"}, "c": set()}, []),
        ({"a": {"b"}, "b": {"a"}, "c": {"a"}}, [["a", "b"]]),
        ({"a": {"b"}, "b": {"c"}, "c": {"a"}}, [["a", "b", "c"]]),
    ],
)
def test_a_circle_is_found(graph, expected):
    assert circles(graph) == expected


def test_the_image_of_the_packages_is_current():
    assert draw_packages.OUTPUT.read_text() == draw_packages.drawing(), "run tools/draw_packages.py"
