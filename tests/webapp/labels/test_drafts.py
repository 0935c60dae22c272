"""Drafts belong to one reader and one study, hold what is not yet valid, and end with the signature."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.core.errors import CodedError
from webapp.labels.drafts import draft_of, draft_save
from webapp.labels.models import ReadingDraft
from webapp.labels.readings import reading_sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(site):
    return factories.ScanFactory(site=site).study


def test_a_draft_is_the_readers_own(study, owner, teammate):
    draft_save(study=study, actor=owner, findings=[], comment="Left base?")
    assert draft_of(study, owner).comment == "Left base?"
    assert draft_of(study, teammate) is None


def test_a_later_draft_replaces_the_earlier_one(study, owner):
    draft_save(study=study, actor=owner, findings=["normal"], comparison="Unchanged.")
    draft_save(study=study, actor=owner, findings=["normal", "inconclusive"])
    draft = ReadingDraft.objects.get()
    assert (draft.findings, draft.comparison) == (["normal", "inconclusive"], "")


def test_an_emptied_form_leaves_no_draft(study, owner):
    draft_save(study=study, actor=owner, findings=["normal"])
    assert draft_save(study=study, actor=owner, findings=[]) is None
    assert not ReadingDraft.objects.exists()


def test_signing_removes_the_readers_draft_alone(study, owner, teammate):
    for actor in (owner, teammate):
        draft_save(study=study, actor=actor, findings=["normal"])
    reading_sign(study=study, actor=owner, findings=["normal"])
    assert [draft.reader for draft in ReadingDraft.objects.all()] == [teammate]


def test_only_who_may_sign_keeps_a_draft(study, outsider):
    with pytest.raises(CodedError) as caught:
        draft_save(study=study, actor=outsider, findings=["normal"])
    assert caught.value.code == "forbidden"


@pytest.mark.parametrize(
    ("entered", "code"),
    [
        ({"findings": ["leprosy"]}, "invalid"),
        ({"findings": [], "comment": "x" * 2001}, "text_invalid"),
        ({"findings": [], "comparison": "\x00"}, "text_invalid"),
    ],
)
def test_a_draft_that_no_form_could_hold_is_refused(study, owner, entered, code):
    with pytest.raises(CodedError) as caught:
        draft_save(study=study, actor=owner, **entered)
    assert caught.value.code == code
    assert not ReadingDraft.objects.exists()
