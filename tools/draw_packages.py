"""Draw docs/images/packages.svg, the packages and their imports: `.venv/bin/python tools/draw_packages.py`.

An arrow is an import; one that follows from others is left out. A test compares the file with the code.
"""

from __future__ import annotations

import ast
import sys
from collections import defaultdict
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OUTPUT = ROOT / "docs" / "images" / "packages.svg"
BOX, GAP, ROW, MARGIN, TITLE = (104, 26), 14, 62, 16, 30
PANELS = (("Site: webapp.* and worker", 760), ("Library: classifier.*", 620))
Graph = dict[str, set[str]]


def main() -> int:
    OUTPUT.write_text(drawing())
    return 0


def drawing() -> str:
    edges = package_imports()
    site = {name: set(to) for name, to in edges.items() if not name.startswith("classifier.")}
    for name, to in site.items():
        site[name] = {"classifier" if target.startswith("classifier.") else target for target in to}
    site["classifier"] = set()
    library = {
        name.removeprefix("classifier."): {t.removeprefix("classifier.") for t in to}
        for name, to in edges.items()
        if name.startswith("classifier.")
    }
    parts, left, height = [], 0, 0
    for (title, width), graph in zip(PANELS, (without_prefix(site), library), strict=True):
        body, tall = panel(title, reduced(graph), left, width)
        parts += body
        left, height = left + width, max(height, tall)
    head = f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {left} {height}" font-family="sans-serif">'
    arrow = (
        '<defs><marker id="a" viewBox="0 0 8 8" refX="8" refY="4" markerWidth="7" markerHeight="7" '
        'orient="auto"><path d="M0 0L8 4L0 8z" fill="#667"/></marker></defs>'
    )
    paper = f'<rect width="{left}" height="{height}" fill="#fff"/>'
    return "\n".join([head, arrow, paper, *parts, "</svg>"]) + "\n"


def without_prefix(graph: Graph) -> Graph:
    return {n.removeprefix("webapp."): {t.removeprefix("webapp.") for t in to} for n, to in graph.items()}


def package_imports() -> Graph:
    """Imports between `worker`, the apps of `webapp` and the packages of `classifier`."""
    edges: Graph = defaultdict(set)
    for folder in ("classifier", "webapp", "worker"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            source = node_of(".".join(path.relative_to(ROOT).with_suffix("").parts))
            if source is None or "migrations" in path.parts:
                continue
            edges[source] |= {n for n in map(node_of, imported(path)) if n} - {source}
    return {name: to & edges.keys() for name, to in edges.items()}


def imported(path: Path) -> set[str]:
    names: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def node_of(module: str) -> str | None:
    """The box of a module; None outside the project and for what is in no package."""
    first, second = (*module.split("."), "")[:2]
    if first == "worker":
        return first
    alone = first == "classifier" and second in ("contract", "errors", "reasons", "result_warnings")
    inside = alone or (ROOT / first / second).is_dir()
    return f"{first}.{second}" if first in ("classifier", "webapp") and second and inside else None


def reduced(graph: Graph) -> Graph:
    """Without the imports that follow from others (transitive reduction)."""

    def reach(name: str, seen: set[str]) -> set[str]:
        for target in graph[name] - seen:
            seen.add(target)
            reach(target, seen)
        return seen

    return {
        name: {t for t in to if not any(t in reach(other, set()) for other in to - {t})}
        for name, to in graph.items()
    }


def levels(graph: Graph) -> dict[str, int]:
    """Row of each box, counted from the bottom: one above the highest that it imports."""
    found: dict[str, int] = {}

    def level(name: str, path: tuple[str, ...]) -> int:
        if name not in found:
            below = [level(t, (*path, name)) for t in sorted(graph[name]) if t not in path]
            found[name] = 1 + max(below, default=-1)
        return found[name]

    for name in sorted(graph):
        level(name, (name,))
    return found


def panel(title: str, graph: Graph, left: int, width: int) -> tuple[list[str], int]:
    rows: dict[int, list[str]] = defaultdict(list)
    for name, row in levels(graph).items():
        rows[row].append(name)
    height = TITLE + MARGIN + ROW * len(rows)
    centre: dict[str, tuple[float, float]] = {}
    for row, names in sorted(rows.items()):

        def over_imports(name: str) -> float:
            below = [centre[t][0] for t in graph[name] if t in centre]
            return sum(below) / len(below) if below else 0

        step = BOX[0] + GAP + (30 if row % 2 else 0)
        start = left + width / 2 - step * (len(names) - 1) / 2
        for i, name in enumerate(sorted(names, key=lambda n: (over_imports(n), n))):
            centre[name] = (start + i * step, height - MARGIN - BOX[1] / 2 - row * ROW)
    parts = [f'<text x="{left + MARGIN}" y="22" font-size="15" font-weight="bold" fill="#223">{title}</text>']
    for name in sorted(graph):
        for target in sorted(graph[name]):
            (x1, y1), (x2, y2) = centre[name], centre[target]
            down = 1 if y2 > y1 else -1
            parts.append(
                f'<path d="M{x1:g} {y1 + down * BOX[1] / 2:g}L{x2:g} {y2 - down * BOX[1] / 2:g}" '
                'stroke="#889" fill="none" marker-end="url(#a)"/>'
            )
    for name, (x, y) in sorted(centre.items()):
        parts.append(
            f'<rect x="{x - BOX[0] / 2:g}" y="{y - BOX[1] / 2:g}" width="{BOX[0]}" height="{BOX[1]}" rx="5" '
            f'fill="#eef3fb" stroke="#57a"/><text x="{x:g}" y="{y + 4.5:g}" font-size="13" '
            f'text-anchor="middle" fill="#112">{name}</text>'
        )
    return parts, height


if __name__ == "__main__":
    sys.exit(main())
