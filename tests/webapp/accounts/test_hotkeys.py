"""Each person's own keys: one table of actions, conflicts refused with the name of the other action."""

from __future__ import annotations

import json

import pytest
from django.test import Client

from webapp.accounts.hotkeys import pages_with_keys
from webapp.accounts.preferences import preferences_of, set_preference
from webapp.core.errors import CodedError

pytestmark = pytest.mark.django_db


def refusal(user, value):
    with pytest.raises(CodedError) as caught:
        set_preference(user=user, key="keys", value=value)
    assert preferences_of(user)["keys"] == {}
    return caught.value


def test_no_page_gives_two_actions_the_same_standard_key():
    for page, keys in pages_with_keys().items():
        standard = [action.key for action in keys.actions]
        assert len(standard) == len(set(standard)), page
    assert {"worklist", "scan", "label_case", "patient"} <= pages_with_keys().keys()


def test_a_person_has_another_key_and_may_swap_two(owner, teammate):
    set_preference(user=owner, key="keys", value={"worklist": {"j": "k", "k": "j", "x": "ö"}})
    assert preferences_of(owner)["keys"]["worklist"]["x"] == "ö"
    assert preferences_of(teammate)["keys"] == {}


def test_the_same_key_on_two_pages_is_no_conflict(owner):
    set_preference(user=owner, key="keys", value={"worklist": {"j": "h"}, "patient": {"j": "h"}})


def test_a_key_of_another_action_is_refused_with_its_name(owner):
    error = refusal(owner, {"worklist": {"j": "x"}})
    assert (error.code, error.status) == ("key_taken", 409)
    assert "“x” is already the key of “select or deselect row” on the page Worklist" in error.message


def test_two_actions_cannot_get_the_same_new_key(owner):
    assert refusal(owner, {"worklist": {"j": "o", "k": "o"}}).code == "key_taken"


@pytest.mark.parametrize("key", ["?", "/", "1", "9"])
def test_the_keys_that_every_page_has_stay(owner, key):
    error = refusal(owner, {"scan": {"h": key}})
    assert (error.code, key in error.message) == ("key_taken", True)


@pytest.mark.parametrize(
    "value",
    [{"kitchen": {"j": "o"}}, {"worklist": "j"}, {"worklist": {"%": "o"}}, {"worklist": {"j": "oo"}},
     {"worklist": {"j": ""}}, {"worklist": {"j": " "}}, {"worklist": {"j": "\t"}}, {"worklist": {"j": 7}}],
)  # fmt: skip
def test_what_is_no_key_is_refused_with_the_offending_value(owner, value):
    assert refusal(owner, value).code == "preference_invalid"


def test_the_page_lists_every_action_with_the_persons_key(owner):
    set_preference(user=owner, key="keys", value={"worklist": {"j": "ö"}})
    client = Client()
    client.force_login(owner)
    page = client.get("/preferences/").content.decode()
    assert 'value="ö" data-key="j"' in page
    for keys in pages_with_keys().values():
        for action in keys.actions:
            assert str(action.text) in page
    body = json.dumps({"key": "keys", "value": {"worklist": {"j": "x"}}})
    refused = client.post("/preferences/", body, "application/json", headers={"accept": "application/json"})
    assert (refused.status_code, refused.json()["code"]) == (409, "key_taken")


def test_the_page_asks_to_sign_in():
    assert Client().get("/preferences/").status_code == 302
