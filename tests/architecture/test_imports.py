"""Imports go one way, and the web process never meets torch."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.architecture.source import ROOT, files, imports, module_name, modules, project_imports

# What each app may import of the others; `core` stands below all.
APPS = {
    "core": set(),
    "accounts": {"core"},
    "audit": {"core", "accounts"},
    "registry": {"core", "accounts", "audit"},
    "webhooks": {"core", "accounts", "audit"},
    "scans": {"core", "accounts", "audit", "webhooks"},
    "dicom": {"core", "accounts", "audit", "scans"},
    "analysis": {"core", "accounts", "audit", "webhooks", "scans", "registry"},
    "labels": {"core", "accounts", "audit", "scans", "registry", "analysis"},
    "backup": {"core", "accounts", "audit", "analysis"},
    "training": {"core", "accounts", "audit", "scans", "registry", "labels"},
    "monitoring": {"backup", "core", "accounts", "audit", "scans", "registry", "analysis", "labels"},
    "results": {"core", "accounts", "audit", "webhooks", "scans", "registry", "analysis", "labels"},
    "pages": {
        "backup",
        "results",
        "core",
        "accounts",
        "audit",
        "scans",
        "registry",
        "analysis",
        "labels",
        "training",
        "monitoring",
    },
    "api": {
        "results",
        "core",
        "accounts",
        "audit",
        "webhooks",
        "scans",
        "registry",
        "analysis",
        "labels",
        "training",
        "monitoring",
    },
    "dicomweb": {"core", "accounts", "audit", "scans", "dicom", "results"},
}
WEB_MAY_READ = (
    "classifier.contract",
    "classifier.reasons",
    "classifier.errors",
    "classifier.result_warnings",
    "classifier.data.split",
    "classifier.data.tables",
    "classifier.text_encoding",
    "classifier.images",
    "classifier.artifact.header",
    "classifier.evaluation.operating.headline",
    "classifier.evaluation.site",
)
# Packages whose __init__ has no line.
EMPTY = {
    "classifier.artifact",
    "classifier.data",
    "classifier.evaluation",
    "classifier.evaluation.operating",
}
TORCH = {"torch", "torchvision", "timm"}
MODEL_CODE = {
    "classifier.artifact.weights",
    "classifier.inference.predictor",
    "classifier.networks.cam",
    "classifier.networks.preprocess",
}


def top(name: str) -> str:
    return name.split(".")[0]


def app_of(name: str) -> str | None:
    parts = name.split(".")
    return parts[1] if len(parts) > 1 and parts[0] == "webapp" and parts[1] in APPS else None


def test_every_app_has_its_place_in_the_order():
    folders = {
        p.parent.name for file in ("apps.py", "models.py") for p in (ROOT / "webapp").glob(f"*/{file}")
    }
    assert folders == set(APPS)


@pytest.mark.parametrize("app", APPS)
def test_an_app_imports_only_those_below_it(app):
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in files(f"webapp/{app}")
        for name in project_imports(path)
        if (other := app_of(name)) and other != app and other not in APPS[app]
    ]
    assert not wrong


def test_the_classifier_knows_nothing_of_the_site():
    foreign = {"webapp", "worker", "tests", "django", "celery", "kombu", "rest_framework", "environ"}
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in files("classifier")
        for name in imports(path)
        if top(name) in foreign
    ]
    assert not wrong


def test_the_site_knows_nothing_of_the_worker():
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in files("webapp")
        for name in imports(path)
        if top(name) in {"worker", "tests"}
    ]
    assert not wrong


def test_the_worker_uses_services_and_no_pages():
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in files("worker")
        for name in project_imports(path)
        if app_of(name) in {"pages", "api"}
    ]
    assert not wrong


def test_the_site_reads_only_words_and_limits_of_the_classifier():
    wrong = [
        f"{module_name(path)} imports {name}"
        for path in files("webapp")
        for name in project_imports(path)
        if name.startswith("classifier.") and name not in EMPTY and not name.startswith(WEB_MAY_READ)
    ]
    assert not wrong


def test_nothing_that_the_site_can_reach_imports_torch():
    """Follows imports from every module of webapp, even those inside functions."""
    seen, todo, wrong = set(), [n for n in modules() if top(n) == "webapp"], []
    while todo:
        name = todo.pop()
        if name in seen:
            continue
        seen.add(name)
        path = modules()[name]
        wrong += [f"{name} imports {other}" for other in imports(path) if top(other) in TORCH]
        todo += project_imports(path, lazy=top(name) == "webapp")
    assert not wrong
    assert not seen & MODEL_CODE


@pytest.mark.parametrize("module", ["webapp.wsgi", "classifier.contract", "classifier.images.sandbox.helper"])
def test_torch_is_not_loaded_by_importing(module, tmp_path):
    code = (
        f"import importlib, sys; importlib.import_module({module!r})\n"
        "if 'webapp.urls' not in sys.modules and 'webapp.wsgi' in sys.modules:\n"
        "    importlib.import_module('webapp.urls')\n"
        "print(sorted(m for m in ('torch', 'torchvision', 'worker') if m in sys.modules))"
    )
    environment = os.environ | {
        "HILUM_ENV": "test",
        "HILUM_DATA": str(tmp_path),
        "DJANGO_SETTINGS_MODULE": "webapp.settings",
    }
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "[]"
