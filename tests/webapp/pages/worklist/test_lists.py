"""What people do with the worklist: saved views, marks, bulk acts, and the list as CSV."""

from __future__ import annotations

import csv
import io
import uuid

import pytest
from django.urls import reverse

from tests import factories
from webapp.analysis.models import Analysis, SavedView, StudyMark
from webapp.audit.models import AuditEvent
from webapp.core.spreadsheets import guarded
from webapp.pages.worklist.export import COLUMNS

pytestmark = pytest.mark.django_db
BULK = "/worklist/bulk/"


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def table_of(response) -> list[dict[str, str]]:
    text = b"".join(response.streaming_content).decode().removeprefix("\ufeff")
    return list(csv.DictReader(io.StringIO(text)))


@pytest.fixture
def failed(site, model):
    """A study whose only analysis failed."""
    scan = factories.ScanFactory(site=site)
    factories.AnalysisFactory(
        scan=scan, model_version=model, status=Analysis.Status.FAILED, error_code="out_of_memory"
    )
    from tests.webapp.pages.conftest import renew

    renew(scan)
    return scan


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"probability": "most"}, True),
        ({"probability": "less"}, False),
        ({"probability": "nonsense"}, True),
        ({"uncertainty": "low"}, True),
        ({"uncertainty": "high"}, False),
        ({"received": "today"}, True),
        ({"modality": "DX"}, True),
        ({"modality": "CR"}, False),
        ({"reader": "nobody"}, True),
        ({"reader": "me"}, False),
        ({"marked": "me"}, False),
        ({"studied_from": "2026-11-20", "studied_to": "2026-11-20"}, True),
        ({"studied_from": "2026-11-21"}, False),
        ({"studied_to": "9999-12-31"}, True),
        ({"sort": "worst"}, True),
        ({"sort": "no such order"}, True),
    ],
)
def test_every_filter_is_processed_and_nonsense_asks_nothing(asked, seen, case, browser, owner):
    page = text_of(browser(owner).post("/", asked, follow=True))
    assert ("DOE, Jane" in page) is seen


def test_a_filtered_list_states_how_many_of_how_many(case, failed, browser, owner):
    page = text_of(browser(owner).post("/", {"status": "failed"}, follow=True))
    assert "data-count>1 of 2" in page


def test_all_my_sites_are_one_list_for_a_member_of_several(
    case, finished_analysis, browser, owner, outsider, other_site, site
):
    from webapp.accounts.models import Role
    from webapp.accounts.services import membership_set

    other = factories.ScanFactory(site=other_site, patient__name="ROE^R")
    finished_analysis(other, covid19=0.9)
    assert "ROE, R" not in text_of(browser(owner).post("/", {"sites": "all"}, follow=True))
    membership_set(user=owner, site=other_site, role=Role.objects.get(name="clinician"))
    page = text_of(browser(owner).post("/", {"sites": "all"}, follow=True))
    assert "ROE, R" in page
    assert "DOE, Jane" in page
    assert "COVID-19" in page


def test_a_view_keeps_filters_and_order_but_never_a_name(case, failed, browser, owner):
    client = browser(owner)
    client.post("/", {"q": "doe", "status": "done", "sort": "worst"})
    client.post(reverse("pages:worklist_save_view"), {"name": "  My   night list "})
    view = SavedView.objects.get()
    assert (view.user, view.name) == (owner, "My night list")
    assert view.search == {"status": "done", "sort": "worst"}
    client.post("/", {"clear": "1"})
    client.post(reverse("pages:worklist_open_view"), {"view": str(view.pk)})
    page = client.get("/")
    assert (page.context["search"].status, page.context["search"].sort) == ("done", "worst")
    assert "Night shift" in text_of(page)
    client.post(reverse("pages:worklist_open_view"), {"view": ""})
    assert not client.get("/").context["filtered"]


def test_a_view_needs_a_name(case, browser, owner):
    reply = browser(owner).post(reverse("pages:worklist_save_view"), {"name": " "})
    assert reply.status_code == 400
    assert b"A view needs a name" in reply.content


@pytest.mark.parametrize("address", ["worklist_open_view", "worklist_delete_view"])
def test_somebody_elses_view_does_not_exist(address, browser, owner, teammate):
    view = SavedView.objects.create(user=owner, name="mine")
    for asked in (str(view.pk), str(uuid.uuid4()), "x"):
        assert browser(teammate).post(reverse(f"pages:{address}"), {"view": asked}).status_code == 404
    assert SavedView.objects.filter(pk=view.pk).exists()
    browser(owner).post(reverse("pages:worklist_delete_view"), {"view": str(view.pk)})
    assert not SavedView.objects.exists()


def test_a_mark_is_the_persons_own_and_finds_the_study_again(case, failed, browser, owner, teammate):
    client, study = browser(owner), case.scan.study
    client.post(BULK, {"action": "mark", "study": [str(study.pk), "x"]})
    client.post(BULK, {"action": "mark", "study": str(study.pk)})
    assert list(StudyMark.objects.values_list("user", "study")) == [(owner.pk, study.pk)]
    page = text_of(client.post("/", {"marked": "me"}, follow=True))
    assert "DOE, Jane" in page
    assert "data-count>1 of 2" in page
    assert "Marked by you" not in text_of(browser(teammate).get("/"))
    client.post(BULK, {"action": "unmark", "study": str(study.pk)})
    assert not StudyMark.objects.exists()


def test_an_outsider_marks_retries_and_exports_nothing(case, failed, browser, outsider):
    client = browser(outsider)
    keys = [str(case.scan.study.pk), str(failed.study.pk)]
    for act in ("mark", "retry"):
        client.post(BULK, {"action": act, "study": keys})
    assert not StudyMark.objects.exists()
    assert not Analysis.objects.filter(status="queued").exists()
    assert table_of(client.post(BULK, {"action": "export", "study": keys})) == []


def test_what_failed_is_tried_again_together_and_the_rest_is_left_alone(case, failed, browser, owner):
    keys = [str(case.scan.study.pk), str(failed.study.pk)]
    page = text_of(browser(owner).post(BULK, {"action": "retry", "study": keys}, follow=True))
    assert "1 analysis queued again" in page
    assert failed.analyses.get().status == "queued"
    assert case.scan.analyses.get().status == "done"
    again = text_of(browser(owner).post(BULK, {"action": "retry", "study": keys}, follow=True))
    assert "no selected study has failed" in again


def test_an_act_that_nobody_knows_is_refused(browser, owner):
    assert browser(owner).post(BULK, {"action": "explode"}).status_code == 400


def test_a_filtered_list_leaves_as_csv_and_the_trail_knows_it(case, failed, browser, owner, site):
    client = browser(owner)
    client.post("/", {"status": "done"})
    response = client.post(reverse("pages:worklist_export"))
    assert response["Content-Type"].startswith("text/csv")
    (row,) = table_of(response)
    assert tuple(row) == tuple(COLUMNS)
    assert (row["patient_id"], row["patient_name"], row["finding"]) == ("P-42", "DOE, Jane", "Pneumonia")
    assert row["probability"] == "0.82"
    assert "not a medical device" in row["notice"]
    event = AuditEvent.objects.get(action="worklist.exported")
    assert (event.actor, event.site, event.detail) == (owner, site, {"studies_at_least": 1})


def test_an_export_of_chosen_studies_holds_only_those(case, failed, browser, owner):
    found = table_of(browser(owner).post(BULK, {"action": "export", "study": str(failed.study.pk)}))
    assert [(row["status"], row["finding"], row["probability"]) for row in found] == [("failed", "", "")]


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", " =1", "＝1"])
def test_no_cell_begins_a_formula(text):
    assert guarded(text) == f"'{text}"


def test_numbers_and_plain_words_stay_as_they_are():
    assert [guarded(value) for value in (0.5, -1, "DOE, Jane", None)] == ["0.5", "-1", "DOE, Jane", ""]


def test_an_export_ends_with_a_word_where_it_is_cut(case, failed, browser, owner, monkeypatch):
    monkeypatch.setattr("webapp.pages.worklist.export.AT_MOST", 1)
    found = table_of(browser(owner).post(reverse("pages:worklist_export")))
    assert len(found) == 2
    assert found[1]["patient_id"].startswith("Truncated")


@pytest.mark.usefixtures("later_in_the_visit")
@pytest.mark.parametrize(
    "asked",
    [
        {"clear": "1"},
        {"q": "doe"},
        {"status": "done", "finding": "pneumonia", "probability": "half", "sort": "worst"},
        {"uncertainty": "low", "modality": "DX", "reader": "nobody", "received": "month"},
        {"sites": "all", "studied_from": "2026-11-01", "sort": "study"},
    ],
)
def test_what_is_asked_costs_as_many_queries_however_long_the_list(
    asked,
    case,
    site,
    finished_analysis,
    browser,
    owner,
    django_assert_max_num_queries,
    django_assert_num_queries,
):
    client = browser(owner)
    client.post("/", asked)
    with django_assert_max_num_queries(19) as short:
        client.get("/")
    for _ in range(6):
        patient = factories.PatientFactory(site=site, name="DOE^Another")
        finished_analysis(factories.ScanFactory(site=site, patient=patient), pneumonia=0.8, normal=0.1)
    with django_assert_num_queries(len(short)):
        rows = client.get("/").context["rows"]
    assert len(rows) == 7


def test_an_export_joins_what_it_shows_once(
    case, finished_analysis, site, browser, owner, django_assert_num_queries
):
    client = browser(owner)
    for _ in range(3):
        finished_analysis(factories.ScanFactory(site=site), pneumonia=0.7)
    response = client.post(reverse("pages:worklist_export"))
    with django_assert_num_queries(2):
        assert len(table_of(response)) == 4
