"""Rules that a reader would otherwise have to remember."""

from __future__ import annotations

import ast
import re

import pytest
from django.core.management import call_command

from tests.architecture.source import FOLDERS, PACKAGES, ROOT, files, imports, module_name, tree

LINES_IN_A_FUNCTION = 60
PICKLERS = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
FUNCTIONS = ast.FunctionDef | ast.AsyncFunctionDef


def functions(path):
    return [node for node in ast.walk(tree(path)) if isinstance(node, FUNCTIONS)]


def test_functions_stay_short():
    long = {
        f"{module_name(path)}.{node.name}": node.end_lineno - node.lineno + 1
        for path in files(*FOLDERS)
        for node in functions(path)
        if node.end_lineno - node.lineno + 1 > LINES_IN_A_FUNCTION
    }
    assert not long


def test_nothing_is_ever_unpickled():
    """Rule 9: no pickle module, no torch.load, no numpy object arrays."""
    wrong = [
        f"{module_name(p)} imports {n}"
        for p in files(*PACKAGES)
        for n in imports(p)
        if n.split(".")[0] in PICKLERS
    ]
    for path in files(*PACKAGES):
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.Call) and ast.unparse(node.func) in {"torch.load", "torch.hub.load"}:
                wrong.append(f"{module_name(path)}:{node.lineno} calls {ast.unparse(node.func)}")
            if (
                isinstance(node, ast.keyword)
                and node.arg == "allow_pickle"
                and ast.unparse(node.value) != "False"
            ):
                wrong.append(f"{module_name(path)}:{node.value.lineno} allows pickles")
    assert not wrong


def test_no_error_is_swallowed():
    wrong = [
        f"{module_name(path)}:{node.lineno}"
        for path in files(*PACKAGES)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.ExceptHandler)
        and (node.type is None or ast.unparse(node.type) in {"Exception", "BaseException"})
        and all(isinstance(line, ast.Pass) for line in node.body)
    ]
    assert not wrong


def test_no_loose_end_is_marked_in_the_code():
    mark = re.compile(r"#\s*(TODO|FIXME|XXX|HACK)\b")
    wrong = [module_name(p) for p in files(*FOLDERS) if mark.search(p.read_text())]
    assert not wrong


def test_only_the_settings_read_the_environment_of_the_site():
    wrong = [
        f"{module_name(path)}:{node.lineno}"
        for folder in ("classifier", "webapp")
        for path in files(folder)
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Attribute)
        and ast.unparse(node) in {"os.environ", "os.getenv"}
        and module_name(path) not in {"webapp.wsgi", "webapp.settings.environment"}
        and not module_name(path).startswith(
            ("classifier.__main__", "classifier.cli.data.deidentify", "classifier.images.sandbox.client")
        )
    ]
    assert not wrong


@pytest.mark.django_db
def test_no_migration_is_missing():
    call_command("makemigrations", check=True, dry_run=True, verbosity=0)


@pytest.mark.parametrize("name", ["requirements.txt", "requirements-dev.txt"])
def test_every_requirement_is_pinned(name):
    lines = [line.strip() for line in (ROOT / name).read_text().splitlines()]
    loose = [x for x in lines if x and not x.startswith(("#", "-")) and not re.search(r"==\d", x)]
    assert not loose
