"""Every page that shows patients' data leaves an event, one for each user, patient and visit."""

from __future__ import annotations

import pytest
from django.core.cache import cache
from django.urls import reverse

from tests.webapp.pages.conftest import store_preview
from webapp.audit.models import AuditEvent, Channel
from webapp.audit.signing import term_hash

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def _a_new_visit():
    cache.clear()
    yield
    cache.clear()


@pytest.fixture
def viewer(browser, owner):
    return browser(owner)


def viewed():
    return AuditEvent.objects.filter(action="patient.viewed")


@pytest.mark.parametrize(
    ("page", "of"),
    [
        ("scan", "scan"),
        ("scan_state", "scan"),
        ("patient", "patient"),
        ("study", "study"),
        ("report", "scan"),
    ],
)
def test_opening_a_patient_by_any_page_is_recorded(page, of, viewer, owner, case, site):
    target = {"scan": case.scan, "patient": case.scan.patient, "study": case.scan.study}[of]
    response = viewer.get(reverse(f"pages:{page}", args=[target.pk]), follow=True)
    assert response.status_code == 200
    event = viewed().get(patient=case.scan.patient.pk)
    assert (event.actor, event.site, event.channel, event.address) == (owner, site, Channel.PAGE, "127.0.0.1")
    assert event.request_id


def test_an_image_alone_is_recorded_and_its_parts_are_one_event(viewer, case, settings):
    store_preview(case.scan, settings)
    for kind in ("preview", "thumbnail", "preview"):
        assert viewer.get(reverse("pages:media", args=[case.scan.pk, kind])).status_code == 200
    assert [one.patient for one in viewed()] == [case.scan.patient.pk]


def test_the_scan_page_costs_one_query_more_once_a_visit(viewer, case, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    address = reverse("pages:scan", args=[case.scan.pk])
    viewer.get(address)
    cache.clear()
    with CaptureQueriesContext(connection) as first:
        viewer.get(address)
    with CaptureQueriesContext(connection) as second:
        viewer.get(address)
    assert len(first) == len(second) + 1


def test_the_worklist_and_its_search_are_recorded_without_the_words(viewer, owner, case):
    viewer.get("/")
    viewer.get("/")
    viewer.post("/", {"q": "Doe"})
    opened = AuditEvent.objects.filter(actor=owner, detail__route="pages:worklist", action="access.opened")
    assert opened.count() == 1
    searched = AuditEvent.objects.get(action="patients.searched")
    assert searched.detail == {"in": "worklist", "terms": [term_hash("doe")]}
    assert "doe" not in str(list(AuditEvent.objects.values())).lower()


def test_a_refused_page_is_recorded(viewer, owner, case):
    assert viewer.get(reverse("pages:patient_merge", args=[case.scan.patient.pk])).status_code == 403
    event = AuditEvent.objects.get(action="access.refused")
    assert (event.actor, event.detail["route"], event.detail["code"]) == (
        owner,
        "pages:patient_merge",
        "forbidden",
    )
    assert not viewed().exists()


def test_a_page_that_shows_no_patient_leaves_no_event(viewer):
    viewer.get(reverse("pages:models"))
    viewer.get("/preferences/")
    assert not AuditEvent.objects.filter(action__startswith="access").exists()
