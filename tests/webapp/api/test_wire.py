"""What every address does alike: pages, filters, ETags, rates, problems."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from rest_framework.test import APIClient

from tests.factories import (
    AnalysisFactory,
    ModelVersionFactory,
    PatientFactory,
    ScanFactory,
    UploadFactory,
    UserFactory,
)
from webapp.accounts.permissions import Permission
from webapp.scans.models import Scan

SCANS = "/api/v1/scans/"
PROBLEM = "application/problem+json"
MORNING = datetime(2026, 11, 20, 8, tzinfo=UTC)


@pytest.fixture
def scans(site):
    """Five scans, the first of the list last; two of them came in the same instant."""
    moments = [0, 1, 1, 2, 3]
    return [ScanFactory(site=site, received_at=MORNING + timedelta(hours=h)) for h in moments]


def ids(finished_analysis) -> list[str]:
    return [row["id"] for row in finished_analysis.json()["results"]]


def test_a_list_is_walked_by_its_next_and_no_row_comes_twice_or_is_left_out(client, scans):
    where, seen = f"{SCANS}?limit=2", []
    while where:
        response = client.get(where)
        assert response.status_code == 200
        seen += ids(response)
        where = response.json()["next"]
    wanted = sorted(scans, key=lambda scan: (scan.received_at, str(scan.pk)), reverse=True)
    assert seen == [str(scan.pk) for scan in wanted]


def test_a_list_is_walked_back_by_its_previous_and_counts_its_rows(client, scans):
    pages, where = [], f"{SCANS}?limit=2"
    while where:
        pages.append(client.get(where).json())
        where = pages[-1]["next"]
    assert ([page["count"] for page in pages], pages[0]["previous"]) == ([5, 5, 5], None)
    back = client.get(pages[2]["previous"]).json()
    assert back["results"] == pages[1]["results"]
    assert client.get(back["next"]).json()["results"] == pages[2]["results"]
    first = client.get(back["previous"]).json()
    assert (first["results"], first["previous"]) == (pages[0]["results"], None)


def test_the_count_stops_where_that_of_the_pages_does(client, scans, monkeypatch):
    monkeypatch.setattr("webapp.api.pagination.COUNTED_AT_MOST", 4)
    assert client.get(SCANS).json()["count"] is None


@pytest.mark.parametrize("method", ["get", "post"])
def test_an_address_without_its_final_slash_names_the_right_one(client, method):
    response = getattr(client, method)(SCANS[:-1])
    assert (response.status_code, response["Content-Type"], response.json()["code"]) == (
        404,
        PROBLEM,
        "not_found",
    )
    assert response.json()["remedy"] == f"Use {SCANS}"
    assert getattr(client, method)("/api/v1/nothing").json()["code"] == "not_found"
    assert APIClient().post(SCANS[:-1]).status_code == 401


def test_what_comes_in_meanwhile_does_not_move_the_pages(client, scans, site):
    first = client.get(SCANS, {"limit": 2}).json()
    ScanFactory(site=site, received_at=MORNING + timedelta(hours=9))
    second = client.get(first["next"])
    assert not {row["id"] for row in first["results"]} & set(ids(second))
    assert len(ids(second)) == 2


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", "invalid"),
        ("limit=201", "invalid"),
        ("limit=²", "invalid"),
        ("limit=2&limit=3", "invalid"),
        ("cursor=nonsense", "cursor_invalid"),
        ("cursor=1764144000000000-6f1f64f0", "cursor_invalid"),
        ("cursor=99999999999999999-6f1f64f03d0a4f8e9d580a6a54a5b0d1", "cursor_invalid"),
        ("patient_uuid=", "invalid"),
        ("modality=mri", "invalid"),
        ("patient_uuid=7", "invalid"),
        ("synthetic=yes", "invalid"),
        ("received_after=yesterday", "invalid"),
        ("received_after=2026-11-20", "invalid"),
        ("received_after=2026-11-20T08:00:00", "invalid"),
        ("recieved_after=2026-11-20T08:00:00Z", "invalid"),
        ("patient_uuid=%00", "invalid"),
    ],
)
def test_a_query_that_is_not_understood_is_refused_never_ignored(client, query, code):
    response = client.get(f"{SCANS}?{query}")
    assert (response.status_code, response["Content-Type"], response.json()["code"]) == (400, PROBLEM, code)
    if code == "invalid":
        assert list(response.json()["errors"]) == [query.split("=")[0]]


def test_lists_are_narrowed_by_kind_patient_study_and_time(client, scans, site):
    ct = ScanFactory(site=site, slot="ct", synthetic=True, received_at=MORNING + timedelta(hours=9))
    for query in (
        {"modality": "ct"},
        {"synthetic": "true"},
        {"patient_uuid": ct.patient.pk},
        {"study_uuid": ct.study.pk},
        {"received_after": "2026-11-20T12:00:00Z"},
        {"received_after": "2026-11-20T13:00:00+01:00"},
    ):
        assert ids(client.get(SCANS, query)) == [str(ct.pk)], query
    early = client.get(SCANS, {"received_before": "2026-11-20T08:00:00.000001Z"})
    assert ids(early) == [str(scans[0].pk)]


def test_what_has_not_changed_is_not_sent_again(client, scans, site):
    first = client.get(SCANS)
    assert first["Cache-Control"] == "private, no-cache"
    again = client.get(SCANS, headers={"if-none-match": first["ETag"]})
    assert (again.status_code, again.content, again["ETag"]) == (304, b"", first["ETag"])
    assert again["RateLimit-Remaining"]
    ScanFactory(site=site)
    assert client.get(SCANS, headers={"if-none-match": first["ETag"]}).status_code == 200


def test_a_change_on_the_condition_of_a_state_is_refused_in_another(client_of, owner, site):
    client = client_of(owner, site, ("scan.view", "scan.move"))
    scan, other = ScanFactory(site=site), PatientFactory(site=site)
    seen = client.get(f"{SCANS}{scan.pk}/")["ETag"]
    asked = {"patient_uuid": str(other.pk), "reason": "wrong label"}
    Scan.objects.filter(pk=scan.pk).update(view_position="PA")
    late = client.post(f"{SCANS}{scan.pk}/move/", asked, "json", headers={"if-match": seen})
    assert (late.status_code, late.json()["code"]) == (412, "precondition_failed")
    assert Scan.objects.get(pk=scan.pk).patient == scan.patient
    seen = client.get(f"{SCANS}{scan.pk}/")["ETag"]
    assert (
        client.post(f"{SCANS}{scan.pk}/move/", asked, "json", headers={"if-match": seen}).status_code == 200
    )
    assert Scan.objects.get(pk=scan.pk).patient == other


def test_a_token_has_so_many_requests_a_minute_and_is_reported_how_many_are_left(
    client, client_of, teammate, site, settings, monkeypatch
):
    monkeypatch.setattr("webapp.core.rate.time.time", lambda: 1_000_000_030.0)
    cache.clear()
    settings.HILUM_API_RATE = 2
    left = [client.get(SCANS)["RateLimit-Remaining"] for _ in range(2)]
    assert left == ["1", "0"]
    response = client.get(SCANS)
    assert (response.status_code, response["Content-Type"], response.json()["code"]) == (
        429,
        PROBLEM,
        "rate_limited",
    )
    assert (response["RateLimit-Limit"], response["RateLimit-Remaining"]) == ("2", "0")
    assert 0 < int(response["Retry-After"]) <= 60
    assert client_of(teammate, site).get(SCANS).status_code == 200
    monkeypatch.setattr("webapp.core.rate.time.time", lambda: 1_000_000_090.0)
    assert client.get(SCANS).status_code == 200
    settings.HILUM_API_RATE = 0
    assert client.get(SCANS).status_code == 200


@pytest.mark.parametrize(
    ("method", "where", "options", "status", "code"),
    [
        ("get", "/api/v1/nothing/", {}, 404, "not_found"),
        ("get", f"{SCANS}6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d1/", {}, 404, "not_found"),
        ("delete", SCANS, {}, 405, "method_not_allowed"),
        ("put", SCANS, {}, 405, "method_not_allowed"),
        ("options", SCANS, {}, 405, "method_not_allowed"),
        ("get", SCANS, {"headers": {"accept": "text/csv"}}, 406, "not_acceptable"),
        ("post", SCANS, {"data": "{}", "content_type": "application/json"}, 415, "unsupported_media_type"),
        (
            "post",
            "/api/v1/uploads/states/",
            {"data": "{", "content_type": "application/json"},
            400,
            "invalid",
        ),
        (
            "post",
            "/api/v1/uploads/states/",
            {"data": "[]", "content_type": "application/json"},
            400,
            "invalid",
        ),
        (
            "post",
            "/api/v1/patients/search/",
            {"data": "[" * 100_000 + "]" * 100_000, "content_type": "application/json"},
            400,
            "invalid",
        ),
        ("post", "/api/v1/uploads/states/", {"data": "a", "content_type": "text/plain"}, 415, None),
        (
            "post",
            SCANS,
            {"data": b"--b\r\nnonsense", "content_type": "multipart/form-data"},
            400,
            "invalid",
        ),
    ],
)
def test_every_refusal_is_a_problem_with_a_stable_code(client, method, where, options, status, code):
    response = getattr(client, method)(where, **options)
    assert (response.status_code, response["Content-Type"]) == (status, PROBLEM)
    problem = response.json()
    assert problem["code"] == (code or "unsupported_media_type")
    assert problem["type"] == f"urn:hilum:error:{problem['code']}"
    assert problem["request_id"] == response["X-Request-ID"]
    assert problem["remedy"]
    if status == 405:
        assert "GET" in response["Allow"]


def test_a_broken_address_without_a_token_states_no_more_than_a_whole_one(db):
    assert APIClient().get(SCANS).status_code == 401
    assert APIClient().get(f"{SCANS}?limit=x").status_code == 401


def test_a_role_that_does_not_grant_it_is_distinguished_from_a_token_that_does_not(
    client_of, person, owner, site
):
    auditor = client_of(person("eve", role="auditor", site=site), site, tuple(Permission))
    response = auditor.get(SCANS)
    assert (response.status_code, response.json()["code"], response.json()["permission"]) == (
        403,
        "forbidden",
        "scan.view",
    )
    assert "scope" not in response.json()
    response = client_of(owner, site, ("scan.upload",)).get(SCANS)
    assert (response.json()["code"], response.json()["scope"]) == ("insufficient_scope", "scan.view")


# Two of each are the token's: who it is, and what it may do; one is the count.
LISTS = {
    "scans": 6,
    "uploads": 4,
    "analyses": 5,
    "studies": 4,
    "patients": 5,
    "models": 4,
    "promotions": 4,
    "training-runs": 4,
    "audit-events": 4,
    "webhooks": 4,
}


@pytest.mark.usefixtures("later_in_the_visit")
@pytest.mark.parametrize(("name", "most"), LISTS.items())
def test_a_list_costs_a_fixed_number_of_queries(
    name, most, client_of, person, site, django_assert_max_num_queries
):
    everything(site)
    client = client_of(person("ada", role="admin", site=site), site, tuple(Permission))
    client.get("/api/v1/me/")  # the token's last use is noted once a minute
    with django_assert_max_num_queries(most):
        response = client.get(f"/api/v1/{name}/")
    assert response.status_code == 200
    assert len(response.json()["results"]) >= 3


@pytest.mark.usefixtures("later_in_the_visit")
@pytest.mark.parametrize(
    ("method", "path", "most"),
    [
        ("get", "patients/{patient.pk}/history/", 9),
        ("get", "analyses/{analysis.pk}/cam/", 4),
        ("get", "scans/{scan.pk}/", 6),
        ("post", "studies/search/", 4),
        ("post", "patients/search/", 6),
    ],
)
def test_what_a_loop_asks_for_each_case_costs_a_fixed_number_of_queries(
    method, path, most, client, site, case, django_assert_max_num_queries
):
    for _ in range(3):
        made = PatientFactory(site=site, name="DOE^Jane")
        AnalysisFactory(
            scan=ScanFactory(site=site, patient=case.patient), model_version=case.model, status="done"
        )
        AnalysisFactory(scan=ScanFactory(site=site, patient=made), model_version=case.model, status="done")
    client.get("/api/v1/me/")
    asked = ({"q": "doe"}, "json") if method == "post" else ()
    with django_assert_max_num_queries(most):
        response = getattr(client, method)(f"/api/v1/{path.format_map(vars(case))}", *asked)
    assert response.status_code == 200


def everything(site) -> None:
    """Three rows or more of everything that is listed."""
    from django.db import transaction

    from webapp.analysis.worklist import summaries
    from webapp.audit.services import record
    from webapp.registry.models import Promotion
    from webapp.training.models import TrainingRun
    from webapp.webhooks.services import subscription_create

    for n in range(3):
        subscription_create(
            site=site, actor=UserFactory(), url="https://example.org/", kinds=["analysis.done"]
        )
        version = ModelVersionFactory(status="retired")
        Promotion.objects.create(model_version=version, reason="because")
        scan = AnalysisFactory(scan__site=site, model_version=version, status="done").scan
        AnalysisFactory(scan=scan, model_version=ModelVersionFactory(status="retired"))
        record(actor=None, site=site, action="scan.moved", subject=UploadFactory(site=site))
        TrainingRun.objects.create(
            site=site, started_by=scan.upload.user, manifest=f"/data/{n}.csv", config={}, seed=0
        )
        with transaction.atomic():
            summaries.refresh([scan.pk])
