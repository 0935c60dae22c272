"""The code blocks of README and docs."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted(
    [ROOT / name for name in ("README.md", "CONTRIBUTING.md", "SECURITY.md", "artifacts/README.md")]
    + [ROOT / "clients" / "python" / "README.md", *(ROOT / "docs").rglob("*.md")]
)
GENERATED = {"docs/model-card.md", "docs/api-errors.md", "docs/dicom-conformance.md"}
FENCE = re.compile(r"^([ ]*)```([^\n]*)\n(.*?)^\1```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Block:
    page: str
    language: str
    marks: str
    text: str


def name_of(page: Path) -> str:
    return str(page.relative_to(ROOT))


def written_pages() -> list[Path]:
    return [page for page in PAGES if name_of(page) not in GENERATED]


def blocks(page: Path) -> list[Block]:
    found = []
    for indent, info, text in FENCE.findall(page.read_text()):
        language, _, marks = info.partition(" ")
        text = "\n".join(line.removeprefix(indent) for line in text.splitlines()) + "\n"
        found.append(Block(name_of(page), language, marks.strip(), text))
    return found
