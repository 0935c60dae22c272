"""Preferences follow the person, are checked, and reach the scripts of every page."""

from __future__ import annotations

import json
import re

import pytest
from django.test import Client

from webapp.accounts.models import User
from webapp.accounts.preferences import LONGEST_VALUE, PREFERENCES, preferences_of, set_preference
from webapp.core.errors import CodedError

pytestmark = pytest.mark.django_db


def post(user, body, *, client=None):
    client = client or Client()
    client.force_login(user)
    return client.post("/preferences/", body, content_type="application/json")


def test_a_person_who_has_chosen_nothing_has_the_defaults(owner):
    assert preferences_of(owner) == {key: known.default for key, known in PREFERENCES.items()}


def test_every_default_is_a_valid_value():
    assert all(known.accepts(known.default) for known in PREFERENCES.values())


def test_a_choice_is_kept_for_the_person_alone(owner, teammate):
    set_preference(user=owner, key="heatmap", value=False)
    assert preferences_of(owner)["heatmap"] is False
    assert preferences_of(User.objects.get(pk=owner.pk))["heatmap"] is False
    assert preferences_of(User.objects.get(pk=teammate.pk))["heatmap"] is True


def test_another_tab_does_not_undo_a_choice(owner):
    tab = User.objects.get(pk=owner.pk)
    set_preference(user=owner, key="heatmap", value=False)
    set_preference(user=tab, key="worklist_density", value="compact")
    kept = preferences_of(User.objects.get(pk=owner.pk))
    assert (kept["heatmap"], kept["worklist_density"]) == (False, "compact")


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("heatmap", 1),
        ("heatmap", "true"),
        ("heatmap", None),
        ("worklist_density", "dense"),
        ("worklist_density", ["compact"]),
        ("worklist_columns", {"finding": 1}),
        ("worklist_columns", ["x" * LONGEST_VALUE]),
    ],
)
def test_a_value_of_another_kind_is_refused_with_its_text(owner, key, value):
    response = post(owner, {"key": key, "value": value})
    assert (response.status_code, response.json()["code"]) == (400, "preference_invalid")
    assert json.dumps(value)[:20] in response.json()["detail"]
    assert preferences_of(User.objects.get(pk=owner.pk))[key] == PREFERENCES[key].default


def test_an_unknown_key_is_refused_with_the_known_ones(owner):
    with pytest.raises(CodedError) as refused:
        set_preference(user=owner, key="colour", value="red")
    assert (refused.value.code, refused.value.status) == ("preference_unknown", 400)
    assert "worklist_columns" in refused.value.remedy


@pytest.mark.parametrize("body", ["[]", '"heatmap"', '{"key": "heatmap"}', "{"])
def test_a_body_without_key_and_value_is_refused(owner, body):
    client = Client()
    client.force_login(owner)
    response = client.generic("POST", "/preferences/", body, content_type="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")


def test_the_response_has_all_values(owner):
    response = post(owner, {"key": "worklist_columns", "value": ["finding"]})
    assert response.status_code == 200
    assert response.json() == preferences_of(User.objects.get(pk=owner.pk))
    assert response.json()["worklist_columns"] == ["finding"]


def test_a_request_without_the_pages_csrf_token_changes_nothing(owner):
    response = post(owner, {"key": "heatmap", "value": False}, client=Client(enforce_csrf_checks=True))
    assert (response.status_code, response.json()["code"]) == (403, "csrf")
    assert preferences_of(User.objects.get(pk=owner.pk))["heatmap"] is True


def test_a_value_that_is_no_longer_known_gives_way_to_the_default(owner):
    owner.preferences = {"worklist_density": "enormous", "gone": 1}
    assert preferences_of(owner)["worklist_density"] == "standard"
    assert "gone" not in preferences_of(owner)


def test_every_page_carries_the_values_for_its_scripts(owner):
    set_preference(user=owner, key="worklist_density", value="compact")
    client = Client()
    client.force_login(owner)
    page = client.get("/").content.decode()
    found = re.search(r'<script id="preferences" type="application/json">(.*?)</script>', page)
    assert json.loads(found.group(1))["worklist_density"] == "compact"


def test_nobody_sets_a_preference_without_signing_in():
    response = Client().post("/preferences/", {"key": "heatmap", "value": 1}, content_type="application/json")
    assert response.status_code == 401
