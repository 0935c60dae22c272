"""The keys of the scan page: the help sheet and the documentation are drawn from one table."""

from __future__ import annotations

import html
import re

import pytest
from django.urls import reverse

from tests.conftest import ROOT
from webapp.pages.scan.keys import KEYS, markdown

SCRIPTS = [ROOT / "static" / "js" / path for path in ("scan/scan.js", "reading/form.js")]


def test_the_documentation_lists_every_key_of_the_table():
    assert markdown() in (ROOT / "docs" / "reading.md").read_text()


def test_no_key_stands_twice():
    keys = [key for shortcuts in KEYS.values() for one in shortcuts for key in map(str, one.keys)]
    assert len(keys) == len(set(keys))


@pytest.mark.django_db
def test_the_help_sheet_shows_every_action(case, browser, owner):
    page = browser(owner).get(reverse("pages:scan", args=[case.scan.pk])).content.decode()
    sheet = html.unescape(page[page.index('id="help"') :])
    actions = [str(one.action) for shortcuts in KEYS.values() for one in shortcuts]
    assert [action for action in actions if f"<dd>{action}</dd>" not in sheet] == []


def test_every_single_key_that_the_scripts_take_is_in_the_table():
    table = {key for shortcuts in KEYS.values() for one in shortcuts for key in map(str, one.keys)}
    handled = set()
    for path in SCRIPTS:
        for line in re.findall(r"onKeys\(\{.*?\}\);|function keysOf.*?\n}", path.read_text(), re.DOTALL):
            handled |= set(
                re.findall(r'[{,]\s*"?([^\s",:(){}.]|Delete|[\[\]{}])"?: (?:act|\(|follow|focus)', line)
            )
    alike = {"=", "Backspace"}  # other names of a key in the table
    assert handled - table - alike == set()
    assert {"v", "B", "Delete", "j", "{"} <= handled
