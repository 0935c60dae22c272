"""Words of an earlier dialect, and where they still stand: in identifiers and in what a person reads.

`python -m tests.architecture.language [PATH…]` lists them.
"""

from __future__ import annotations

import io
import re
import subprocess
import sys
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent.parent
SOURCES = (
    ".py",
    ".js",
    ".mjs",
    ".html",
    ".css",
    ".md",
    ".yml",
    ".toml",
    ".sh",
    ".service",
    ".example",
    ".json",
)
# Generated or legal text.
LEFT_OUT = re.compile(r"^static/dist/|migrations/0|package-lock\.json|^artifacts/.*\.json$|LICENSE")

# Standing in text: what a writer would not write, and what to write instead.
TEXT = {
    r"pictures?": "image",
    r"answer(s|ed|ing)?": "result, response, prediction; return",
    r"(hand(ed|s|ing)? (in|over|on|out))": "upload, submit",
    r"(take[ns]?|took|taking) in": "import",
    r"beside": "with, next to",
    r"by (itself|themselves)": "automatically",
    r"anew": "again, from scratch",
    r"houses?|doors?": "application, endpoint",
    r"(?<!reading )(?<!reading-)rooms?": "package",
    r"what became of": "result of",
    r"strangers?": "outsider (user), out-of-distribution image",
    r"giveaways?": "shortcut",
    r"companions?": "auxiliary network",
    r"nudge[sd]?|nudging": "wake, notify",
    r"ledgers?": "job table",
    r"drain(s|ed|ing)?": "job runner",
    r"mend(s|ed|ing)?": "correct, fix",
    r"(in|into) force": "active, enabled",
    r"speaks? (for|against)|spoke (for|against)": "contribution; failed",
    r"traits?": "descriptor",
    r"toned?|tones": "grayscale rendering",
    r"lens": "magnifier",
    r"said|says?|told|tells?|telling": "stated, reported, shows",
    r"bets?|betting": "conformal test martingale",
    r"whom": "which user, which patient",
    r"in the shadow": "shadow mode",
    r"data audits?": "data validation",
    r"parted|parting": "unmerge",
    r"leash|minding": "watchdog, supervise",
    r"hitherto|whither|thereof|wherein": "(plain word)",
    r"for nothing": "false alarm",
    r"at hand": "to hand",
    r"once more": "again",
    r"giv(es?|en) no": "returns no",
    r"freez(e|es|ing)|froze|frozen": "create snapshot (of data)",
}
# Parts of identifiers (split at _ and at capitals).
NAME = {
    "picture": "image",
    "pictures": "images",
    "answer": "response, result",
    "answers": "responses, results",
    "answered": "done",
    "said": "name the thing",
    "told": "name the thing",
    "nudge": "notify_workers",
    "nudged": "woken",
    "ledger": "jobs",
    "drain": "runner",
    "drains": "runners",
    "life": "transitions",
    "stranger": "outsider",
    "strangers": "outsiders, ood_negatives",
    "giveaways": "shortcuts",
    "companions": "auxiliary",
    "tone": "grayscale",
    "toned": "rendered",
    "squares": "cached images",
    "traits": "descriptors",
    "recipe": "optimiser, schedule",
    "leash": "watchdog",
    "minding": "supervise",
    "pulse": "readiness",
    "trouble": "error",
    "judging": "comparison",
    "house": "application",
    "door": "endpoint",
    "doors": "endpoints",
    "lens": "magnifier",
    "truth": "strict boolean, ground truth",
    "moment": "time",
    "beside": "with",
    "anew": "again",
    "glossary": "field descriptions",
    "wording": "schema text",
    "unread": "discard body",
    "whom": "patient, user",
    "bets": "martingale",
    "strangeness": "nonconformity",
    "mended": "corrected",
    "parted": "unmerged",
    "gate": "promotion_gate, input_check",
}
# Where a word is right after all: a regular expression of the text around it, and why.
ALLOWED = {
    r"ground[_ -]?truth|GroundTruth": "the standard term for labels that are taken as true",
    r"promotion[_ -]?gate|PromotionGate|PROMOTION_GATE": "the product's name for the model policy",
    r"[Uu]nread|UNREAD": "a label's state: not assessed; or Django's UnreadablePostError",
    r"Object\.freeze|\"freeze\"|freeze \d|layer freezing|frozen norms": "JavaScript's and PyTorch's terms",
    r"detector in room": "a room of the hospital, in made-up text",
}
# Files that quote the words or the stored names of earlier files.
QUOTES = re.compile(
    r"^tests/architecture/(test_)?language\.py$|^tests/static/test_translation\.py$"
    r"|^classifier/artifact/header\.py$|^tests/classifier/(artifact|cli|evaluation|training)/test_\w+\.py$"
)
PATTERNS = {re.compile(rf"(?<![\w-])({p})(?![\w-])", re.IGNORECASE): better for p, better in TEXT.items()}
PART = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


class Hit(NamedTuple):
    path: str
    line: int
    word: str
    better: str
    text: str


def files(*only: str) -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", *only],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [
        f
        for f in listed
        if f.endswith(SOURCES) and not LEFT_OUT.search(f) and not QUOTES.search(f) and (ROOT / f).exists()
    ]


def hits(path: str) -> list[Hit]:
    text = (ROOT / path).read_text()
    if path.endswith(".py"):
        found = _python(path, text)
    elif path.endswith((".js", ".mjs")):
        found = [*_prose(path, text), *_names(path, text)]
    else:
        found = _prose(path, text)
    return sorted({h for h in found if not _is_allowed(h)}, key=lambda h: h.line)


def _python(path: str, text: str) -> Iterator[Hit]:
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        kind, line = tokenize.tok_name[token.type], token.start[0]
        if kind == "NAME":
            yield from _name(path, line, token.string)
        elif kind in ("STRING", "COMMENT", "FSTRING_MIDDLE"):
            for offset, part in enumerate(token.string.splitlines()):
                yield from _line(path, line + offset, part)
                # A string of one word is a key or a name.
                if re.fullmatch(r"""[rbf]*["'][\w.]+["']""", part):
                    yield from _name(path, line, part.strip("rbf\"'"))


def _prose(path: str, text: str) -> Iterator[Hit]:
    for number, line in enumerate(text.splitlines(), 1):
        yield from _line(path, number, line)


def _names(path: str, text: str) -> Iterator[Hit]:
    for number, line in enumerate(text.splitlines(), 1):
        for name in re.findall(r"[A-Za-z_$][\w$]*", line):
            yield from _name(path, number, name, line)


def _name(path: str, line: int, name: str, text: str = "") -> Iterator[Hit]:
    for part in {p.lower() for p in PART.findall(name)} & NAME.keys():
        yield Hit(path, line, part, NAME[part], text or name)


def _line(path: str, line: int, text: str) -> Iterator[Hit]:
    for pattern, better in PATTERNS.items():
        for found in pattern.finditer(text):
            yield Hit(path, line, found[0], better, text.strip())


def _is_allowed(hit: Hit) -> bool:
    return any(
        re.search(rf"\b{re.escape(hit.word)}\b|{re.escape(hit.word)}", near[0], re.IGNORECASE)
        for pattern in ALLOWED
        for near in re.finditer(pattern, hit.text)
    )


def main(only: list[str]) -> int:
    total = 0
    for path in files(*only):
        for hit in hits(path):
            total += 1
            print(f"{hit.path}:{hit.line}: {hit.word!r} -> {hit.better} | {hit.text[:110]}")
    print(f"{total} hits", file=sys.stderr)
    return 1 if total else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
