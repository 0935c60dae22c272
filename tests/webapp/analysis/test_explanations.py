"""The life of an explanation: asked for, made once, failed, tried again."""

from __future__ import annotations

from datetime import timedelta

import pytest

from classifier.contract import RELATIVE
from tests.factories import cam
from webapp.analysis import explanations
from webapp.analysis.models import Analysis, Explanation
from webapp.audit.models import AuditEvent
from webapp.core.errors import CodedError

pytestmark = pytest.mark.django_db
LEASE = timedelta(seconds=20)


@pytest.fixture(autouse=True)
def woken(monkeypatch):
    names = []
    monkeypatch.setattr(explanations, "notify_workers", names.append)
    return names


@pytest.fixture
def analysis(queued, finished_analysis):
    queued()
    [analysis] = finished_analysis(pneumonia=0.8)
    analysis.refresh_from_db()
    return analysis


def ask(analysis, owner, method="layercam") -> Explanation:
    return explanations.explanation_request(analysis=analysis, method=method, actor=owner)


def finish(explanation: Explanation) -> bool:
    return explanation.finish("done", cam=cam().as_dict(), seconds=0.5)


def test_what_is_asked_for_waits_for_the_worker_and_leaves_a_trace(analysis, owner, woken):
    explanation = ask(analysis, owner)
    assert (explanation.status, explanation.method, explanation.cam) == ("queued", "layercam", None)
    assert woken == ["infer"]
    event = AuditEvent.objects.get(action="analysis.explained")
    assert (event.actor, event.site) == (owner, analysis.scan.site)
    assert event.subject == f"analysis.analysis:{analysis.pk}"
    assert event.detail == {"method": "layercam", "scan": str(analysis.scan_id)}


@pytest.mark.parametrize("state", ["queued", "running", "done"])
def test_nothing_that_is_there_or_under_way_is_made_again(analysis, owner, woken, state):
    explanation = ask(analysis, owner)
    if state != "queued":
        explanation = next(iter(Explanation.objects.claim(lease=LEASE)), None)
    if state == "done":
        assert finish(explanation)
    again = ask(analysis, owner)
    assert (again.pk, again.status) == (explanation.pk, state)
    assert (woken, Explanation.objects.count()) == (["infer"], 1)
    assert AuditEvent.objects.filter(action="analysis.explained").count() == 1


def test_each_method_has_its_own(analysis, owner):
    assert len({ask(analysis, owner, method).pk for method in RELATIVE}) == len(RELATIVE)


@pytest.mark.parametrize("method", ["gradcam", "tarot", ""])
def test_only_the_explainers_that_there_are_can_be_asked(analysis, owner, method):
    with pytest.raises(CodedError) as refused:
        ask(analysis, owner, method)
    assert refused.value.code == "not_found"


def test_an_analysis_without_an_result_has_nothing_to_explain(queued, owner):
    with pytest.raises(CodedError) as refused:
        ask(queued().analyses.get(), owner)
    assert refused.value.code == "not_ready"
    assert not Explanation.objects.exists()


def test_the_maps_are_stored_once_and_a_late_worker_stores_nothing(analysis, owner):
    ask(analysis, owner)
    late = next(iter(Explanation.objects.claim(lease=-LEASE)), None)
    mine = next(iter(Explanation.objects.claim(lease=LEASE)), None)
    assert mine.attempt_token != late.attempt_token
    assert finish(mine)
    assert not finish(late)
    stored = Explanation.objects.get()
    assert (stored.status, stored.cam, stored.seconds) == ("done", cam().as_dict(), 0.5)


def test_a_failed_one_is_tried_again_when_it_is_asked_for_again(analysis, owner, woken):
    ask(analysis, owner)
    claimed = next(iter(Explanation.objects.claim(lease=LEASE)), None)
    assert claimed.fail("explainer_too_slow")
    assert Explanation.objects.get().error_code == "explainer_too_slow"
    again = ask(analysis, owner)
    assert (again.status, again.error_code, again.attempts) == ("queued", "", 0)
    assert woken == ["infer"] * 2
    assert AuditEvent.objects.filter(action="analysis.explained").count() == 2


def test_one_that_kills_its_worker_again_and_again_is_given_up(analysis, owner):
    ask(analysis, owner)
    for _ in range(3):
        assert next(iter(Explanation.objects.claim(lease=-LEASE)), None)
    assert next(iter(Explanation.objects.claim(lease=LEASE)), None) is None
    assert (Explanation.objects.get().status, Explanation.objects.get().error_code) == ("failed", "gave_up")


def test_the_analysis_is_not_held_up_by_its_explanations(analysis, owner, queued):
    ask(analysis, owner)
    queued()
    assert [claimed.status for claimed in Analysis.objects.claim(5)] == ["running"]
    assert Explanation.objects.claimable().count() == 1
