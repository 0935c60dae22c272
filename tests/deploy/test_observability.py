"""Alert rules and dashboard: every metric that they name exists, and only such."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest
import yaml

from tests.architecture.source import ROOT
from webapp.monitoring.metrics import exposition

RULES = ROOT / "deploy" / "prometheus" / "hilum.yml"
BOARD = ROOT / "deploy" / "grafana" / "hilum.json"


def known() -> set[str]:
    return set(re.findall(r"^# TYPE (\w+)", exposition().decode(), re.MULTILINE))


def named(expressions: list[str]) -> set[str]:
    return {name for text in expressions for name in re.findall(r"hilum_\w+", text)}


def rules() -> list[dict]:
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


@pytest.mark.django_db
def test_every_metric_of_a_rule_exists():
    assert named([rule["expr"] for rule in rules()]) <= known()
    assert all(rule["annotations"]["summary"] and rule["labels"]["severity"] for rule in rules())
    assert len({rule["alert"] for rule in rules()}) == len(rules()) > 8


@pytest.mark.django_db
def test_the_dashboard_shows_every_metric_and_no_other():
    board = json.loads(BOARD.read_text())
    shown = named([target["expr"] for panel in board["panels"] for target in panel["targets"]])
    not_drawn = {"hilum_disk_floor_bytes", "hilum_backup_failed"}
    assert shown | not_drawn == known()
    assert len({panel["id"] for panel in board["panels"]}) == len(board["panels"])


@pytest.mark.skipif(not shutil.which("promtool"), reason="promtool is not installed")
def test_prometheus_accepts_the_rules():
    done = subprocess.run(["promtool", "check", "rules", str(RULES)], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
