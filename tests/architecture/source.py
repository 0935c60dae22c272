"""The project's Python files, and what each imports, without running any of them."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGES = ("classifier", "webapp", "worker")
FOLDERS = (*PACKAGES, "tests", "benchmarks", "deploy", "scripts")


@cache
def files(*folders: str) -> tuple[Path, ...]:
    """Every Python file below these folders of the project, but Django's migrations."""
    found = [path for folder in folders for path in (ROOT / folder).rglob("*.py")]
    return tuple(sorted(p for p in found if p.parent.name != "migrations"))


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text(), filename=str(path))


def module_name(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def modules() -> dict[str, Path]:
    return {module_name(path): path for path in files(*PACKAGES)}


@cache
def imports(path: Path, *, lazy: bool = True) -> frozenset[str]:
    """Full names that a file imports; `lazy=False` leaves out what only a called function imports."""
    found: set[str] = set()
    for node in _nodes(tree(path), lazy=lazy):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = _absolute(path, node)
            found |= {base} | {f"{base}.{alias.name}" for alias in node.names}
    return frozenset(found)


def project_imports(path: Path, *, lazy: bool = True) -> set[str]:
    """The modules of this project that a file imports, the packages above them included."""
    known = modules()
    named = {name for name in imports(path, lazy=lazy) if name in known}
    parents = {".".join(n.split(".")[:i]) for n in named for i in range(1, n.count(".") + 1)}
    return named | (parents & known.keys())


def _nodes(node: ast.AST, *, lazy: bool):
    for child in ast.iter_child_nodes(node):
        if not lazy and isinstance(child, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            continue
        if isinstance(child, ast.If) and "TYPE_CHECKING" in ast.dump(child.test):
            yield from (n for c in child.orelse for n in (c, *_nodes(c, lazy=lazy)))
            continue
        yield child
        yield from _nodes(child, lazy=lazy)


def _absolute(path: Path, node: ast.ImportFrom) -> str:
    if not node.level:
        return node.module or ""
    package = module_name(path).split(".")
    if path.name != "__init__.py":
        package = package[:-1]
    package = package[: len(package) - node.level + 1]
    return ".".join([*package, *([node.module] if node.module else [])])
