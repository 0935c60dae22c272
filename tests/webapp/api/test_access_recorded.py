"""Every address of the API that reads patients' data, and every refusal, leaves an event."""

from __future__ import annotations

from datetime import timedelta

import pytest
from django.core.cache import cache
from django.utils import timezone
from rest_framework.test import APIClient

from tests.webapp.api.test_routes import ROUTES, ask
from webapp.accounts.models import ApiToken
from webapp.accounts.permissions import Permission
from webapp.audit.access import NOT_ABOUT_PATIENTS, UNKNOWN_TOKENS_A_MINUTE
from webapp.audit.models import AuditEvent, Channel
from webapp.audit.signing import term_hash

pytestmark = pytest.mark.django_db
# Where the id in the address is a patient's, or of what belongs to one.
ABOUT_ONE = (
    *("api-scan", "api-scan-preview", "api-scan-display", "api-scan-labels", "api-scan-marks", "api-mark"),
    *("api-analysis", "api-analysis-cam", "api-analysis-overlay", "api-analysis-explanation"),
    *("api-analysis-explanations", "api-study", "api-study-readings", "api-patient", "api-patient-history"),
    *("api-key-image", "api-scan-key-images"),
)


@pytest.fixture(autouse=True)
def _a_new_visit():
    cache.clear()
    yield
    cache.clear()


def events(response, **conditions):
    return AuditEvent.objects.filter(request_id=response["X-Request-ID"], **conditions)


@pytest.mark.parametrize(("method", "name", "permission"), ROUTES, ids=str)
def test_no_address_reads_or_changes_patient_data_without_an_event(
    method, name, permission, admin, site, case
):
    response = ask(admin, method, name, case)
    if response.status_code >= 400 or (name in NOT_ABOUT_PATIENTS and method == "GET"):
        return
    found = events(response)
    assert found.exists(), f"{method} {name} left no event"
    assert {(one.actor.username, one.channel, one.address) for one in found} == {
        ("ada", Channel.API, "127.0.0.1")
    }
    if name in ABOUT_ONE and method == "GET":
        assert found.filter(patient=case.patient.pk, action="patient.viewed").exists()


def test_one_event_for_each_user_patient_and_visit(client, client_of, teammate, site, case):
    for name in ("api-scan", "api-analysis", "api-analysis-cam", "api-patient-history", "api-scan"):
        assert ask(client, "GET", name, case).status_code == 200
    viewed = AuditEvent.objects.filter(action="patient.viewed")
    assert [one.patient for one in viewed] == [case.patient.pk]
    assert viewed[0].detail["token"] == str(ApiToken.objects.get(user__username="owner").pk)
    ask(client_of(teammate, site), "GET", "api-scan", case)
    assert AuditEvent.objects.filter(action="patient.viewed").count() == 2
    cache.clear()
    ask(client, "GET", "api-scan", case)
    assert AuditEvent.objects.filter(action="patient.viewed").count() == 3


def test_a_second_opening_costs_no_query_more(client, case, django_assert_num_queries):
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    ApiToken.objects.update(last_used_at=timezone.now())
    with CaptureQueriesContext(connection) as first:
        ask(client, "GET", "api-scan", case)
    with django_assert_num_queries(len(first) - 1):
        ask(client, "GET", "api-scan", case)


def test_nothing_is_shown_where_it_cannot_be_recorded(client, case, monkeypatch):
    def fail(**_):
        raise RuntimeError

    monkeypatch.setattr("webapp.audit.access.record", fail)
    client.raise_request_exception = False
    assert ask(client, "GET", "api-scan", case).status_code == 500
    monkeypatch.undo()
    assert ask(client, "GET", "api-scan", case).status_code == 200
    assert AuditEvent.objects.filter(action="patient.viewed").count() == 1


def test_a_search_is_recorded_by_its_hashed_words(client, case):
    client.post("/api/v1/patients/search/", {"q": "Doe jane"}, "json")
    client.post("/api/v1/patients/lookup/", {"patient_ids": ["P-42"]}, "json")
    searched = AuditEvent.objects.filter(action="patients.searched").order_by("created_at")
    assert [one.detail["terms"] for one in searched] == [
        sorted([term_hash("DOE"), term_hash("jane")]),
        [term_hash("p-42")],
    ]
    assert "doe" not in str(list(AuditEvent.objects.values())).lower()


def test_hashed_words_cannot_be_guessed_without_the_key(settings):
    before = term_hash("doe")
    settings.AUDIT_KEYS = ["another"]
    assert term_hash("doe") != before


@pytest.mark.parametrize("reason", ["unknown", "revoked", "expired", "account"])
def test_a_token_that_does_not_open_is_recorded(reason, client, owner, case):
    now = timezone.now()
    changes = {"revoked": {"revoked_at": now}, "expired": {"expires_at": now - timedelta(days=1)}}
    ApiToken.objects.update(**changes.get(reason, {}))
    if reason == "account":
        owner.is_active = False
        owner.save()
    if reason == "unknown":
        client.credentials(HTTP_AUTHORIZATION="Bearer hlm_guessed")
    for _ in range(3):
        assert ask(client, "GET", "api-scan", case).status_code == 401
    event = AuditEvent.objects.get(action="token.refused")
    assert (event.actor, event.detail, event.address) == (None, {"reason": reason}, "127.0.0.1")
    assert event.subject == ("" if reason == "unknown" else f"accounts.apitoken:{ApiToken.objects.get().pk}")


def test_outsiders_cannot_fill_the_log_with_tokens(case):
    for number in range(UNKNOWN_TOKENS_A_MINUTE + 20):
        outsider = APIClient(REMOTE_ADDR=f"10.0.0.{number}")
        outsider.credentials(HTTP_AUTHORIZATION=f"Bearer hlm_{number}")
        outsider.get("/api/v1/scans/")
    assert AuditEvent.objects.filter(action="token.refused").count() == UNKNOWN_TOKENS_A_MINUTE


def test_a_refusal_is_recorded_with_its_code(client_of, owner, site, case):
    narrow = client_of(owner, site, ("scan.upload",))
    assert ask(narrow, "GET", "api-scan", case).status_code == 403
    event = AuditEvent.objects.get(action="access.refused")
    assert (event.actor, event.site) == (owner, site)
    assert {"code": "insufficient_scope", "route": "api-scan", "object": str(case.scan.pk)}.items() <= (
        event.detail.items()
    )


def test_asking_for_what_is_at_another_site_is_recorded(client_of, person, other_site, case):
    eve = person("eve", role="clinician", site=other_site)
    ask(client_of(eve, other_site), "GET", "api-patient", case)
    event = AuditEvent.objects.get(action="access.refused")
    assert (event.actor, event.site, event.patient) == (eve, other_site, None)
    assert (event.detail["code"], event.detail["object"]) == ("not_found", str(case.patient.pk))


def test_every_known_exception_is_an_address():
    from django.urls import NoReverseMatch, reverse

    for name in NOT_ABOUT_PATIENTS - {"api-missing-slash", "metrics"}:
        for arguments in ([], ["6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1"]):
            try:
                reverse(name, args=arguments)
                break
            except NoReverseMatch:
                continue
        else:
            pytest.fail(f"{name} is no address")


def test_permissions_that_read_no_patient_are_the_only_exceptions():
    about_patients = {
        Permission.SCAN_VIEW,
        Permission.SCAN_LABEL,
        Permission.LABEL_MANAGE,
        Permission.AUDIT_VIEW,
    }
    wrong = {name for method, name, permission in ROUTES if method == "GET" and permission in about_patients}
    assert not wrong & NOT_ABOUT_PATIENTS
