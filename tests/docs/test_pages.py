"""README and docs: links, paths and block marks that lead somewhere."""

from __future__ import annotations

import argparse
import importlib
import re
import shlex

import pytest

from classifier.__main__ import COMMANDS
from tests.docs.blocks import FENCE, ROOT, blocks, name_of, written_pages

# Why a block is not run by test_commands.py.
REASONS = {
    "docker": "starts containers",
    "systemd": "installs system packages and services",
    "network": "downloads packages",
    "production": "needs a production installation",
    "data": "needs images or models that are not in the repository",
    "hours": "trains for hours",
    "recursion": "runs the test suite",
}
# What the documents' shell variables may be, where the command is only parsed.
VARIABLES = {
    "$GPU": "--manifest m.csv",
    "$FOLD": "1",
    "$OPTIONS": "",
    "$CT": "--manifest m.csv",
    "$BY": "patient",
}
LANGUAGES = {"sh", "python", "json", "ini"}
FOLDERS = (
    "classifier",
    "webapp",
    "worker",
    "tests",
    "tools",
    "benchmarks",
    "deploy",
    "static",
    "templates",
    "docs",
)


@pytest.mark.parametrize("page", written_pages(), ids=name_of)
def test_every_block_has_a_language_and_a_known_mark(page):
    for block in blocks(page):
        assert block.language in LANGUAGES, block
        if block.marks:
            assert block.language == "sh"
            assert block.marks == "server" or block.marks.removeprefix("no-test: ") in REASONS, block.marks
    outside = FENCE.sub("", page.read_text())
    assert not re.search(r"\n\n    \S", outside), "use a fence, so that the commands are tested"


@pytest.mark.parametrize("page", written_pages(), ids=name_of)
def test_python_is_always_the_environments(page):
    for block in blocks(page):
        if block.language == "sh" and "docker" not in block.marks:
            assert not re.search(r"(?<![\w/.])(?<!-m )(python3?|pip) ", block.text), block.text


@pytest.mark.parametrize("page", written_pages(), ids=name_of)
def test_every_link_leads_to_a_file_and_a_heading(page):
    for target in re.findall(r"\]\((?!https?:)([^)\s]+)\)", FENCE.sub("", page.read_text())):
        path, _, anchor = target.partition("#")
        linked = (page.parent / path).resolve() if path else page
        assert linked.exists(), target
        if anchor:
            assert anchor in {
                slug(line) for line in linked.read_text().splitlines() if line.startswith("#")
            }, target


def slug(heading: str) -> str:
    text = heading.lstrip("#").strip().lower()
    return re.sub(r"[^\w\- ]", "", text).replace(" ", "-")


@pytest.mark.parametrize("page", written_pages(), ids=name_of)
def test_every_path_that_is_named_exists(page):
    named = re.findall(r"`((?:" + "|".join(FOLDERS) + r")/[\w./-]+)`", page.read_text())
    assert [path for path in named if not (ROOT / path).exists()] == []


def classifier_commands() -> list[tuple[str, str]]:
    found = []
    for page in written_pages():
        for block in blocks(page):
            for line in block.text.replace("\\\n", " ").splitlines() if block.language == "sh" else ():
                command = re.search(r"-m classifier ([^|>;]+)", line)
                if command:
                    found.append((name_of(page), command[1]))
    return found


@pytest.mark.parametrize(("page", "command"), classifier_commands())
def test_every_command_of_the_classifier_is_understood(page, command, monkeypatch):
    """Also of those that are too long, or lack the data, to be run."""
    for name in re.findall(r"\$\w+", command):
        command = command.replace(name, VARIABLES.get(name, "word"))
    words = shlex.split(command, comments=True)
    module = importlib.import_module(f"classifier.{COMMANDS[words[0]][0]}")
    parser = argparse.ArgumentParser(prog=words[0], exit_on_error=False)
    module.add_arguments(parser)
    monkeypatch.setattr(parser, "error", lambda message: pytest.fail(f"{command}: {message}"))
    parser.parse_args(words[1:])


@pytest.mark.parametrize("page", written_pages(), ids=name_of)
def test_python_examples_compile(page):
    for block in blocks(page):
        if block.language == "python":
            compile(block.text, block.page, "exec")


def test_decisions_are_numbered_dated_and_listed():
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text()
    numbers = [int(path.name[:4]) for path in sorted(folder.glob("0*.md"))]
    assert numbers == list(range(1, len(numbers) + 1))
    for number, path in zip(numbers, sorted(folder.glob("0*.md")), strict=True):
        head = path.read_text().splitlines()
        assert re.fullmatch(rf"# {number}\. .+", head[0])
        assert re.fullmatch(r"(Accepted|Superseded by .+), \d{4}-\d\d-\d\d", head[2])
        assert f"]({path.name})" in index
