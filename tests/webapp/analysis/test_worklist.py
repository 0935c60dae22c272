"""The worklist: a row a study with the worst of its scans, newest first, filtered, within one's sites."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from django.core.cache import cache
from django.db import connection
from django.db.models import F
from django.test.utils import CaptureQueriesContext

from classifier.contract import Slot
from classifier.reasons import AbstentionReason
from tests.factories import (
    ModelVersionFactory,
    PatientFactory,
    ScanFactory,
    StudyFactory,
    UploadFactory,
    cam,
    make_active,
    prediction,
)
from webapp.analysis import services
from webapp.analysis.models import Analysis, StudySummary
from webapp.analysis.selectors import history
from webapp.analysis.state import state_of
from webapp.analysis.worklist import query as worklist_rows
from webapp.analysis.worklist.query import Filters, neighbours, occurring, worklist, worklist_page
from webapp.core.errors import CodedError
from webapp.scans.patients.corrections import scan_move

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(site):
    return StudyFactory(patient__site=site)


def row(study) -> StudySummary:
    return StudySummary.objects.get(study=study)


@pytest.mark.parametrize(
    ("text", "finding", "probability"),
    [
        ([{"normal": 0.9, "pneumonia": 0.1}, {"pneumonia": 0.6, "normal": 0.4}], "pneumonia", 0.6),
        ([{"pneumonia": 0.6, "normal": 0.4}, {"covid19": 0.7, "normal": 0.3}], "covid19", 0.7),
        ([{"normal": 0.9}, {"pneumonia": 0.4, "covid19": 0.3, "normal": 0.3}], "", 0.4),
        ([{"normal": 0.9}, {"normal": 0.8, "covid19": 0.2}], "normal", 0.8),
    ],
)
def test_a_study_shows_the_worst_of_its_scans(study, queued, finished_analysis, text, finding, probability):
    for probabilities in text:
        scan = queued(series__study=study)
        finished_analysis(**probabilities)
    assert (row(study).status, row(study).scans) == ("done", len(text))
    assert (row(study).finding, row(study).probability) == (finding, probability)
    assert row(study).worst_scan == scan


def test_a_study_shows_the_least_finished_of_its_scans(study, queued, finished_analysis, fail, site):
    queued(series__study=study)
    finished_analysis(abstention=AbstentionReason.LATERAL_VIEW, pneumonia=0.9)
    assert (row(study).status, row(study).reason) == ("abstained", "lateral_view")
    queued(series__study=study)
    finished_analysis(normal=0.9)
    assert (row(study).status, row(study).finding) == ("done", "normal"), "one result is a result"
    services.analyses_queue([ScanFactory(site=site, series__study=study, slot=Slot.CT)])
    assert (row(study).status, row(study).reason) == ("waiting", "no_model_for_modality")
    queued(series__study=study)
    fail("out_of_memory")
    assert (row(study).status, row(study).reason) == ("failed", "out_of_memory")
    queued(series__study=study)
    assert (row(study).status, row(study).finding) == ("analysing", "normal"), "the results so far stay"


def test_an_result_is_not_taken_away_by_a_later_attempt(study, queued, finished_analysis, fail, model):
    scan = queued(series__study=study)
    finished_analysis(pneumonia=0.8)
    make_active(ModelVersionFactory(number=2, status="candidate"))
    services.analyses_queue([scan])
    assert (row(study).status, row(study).finding) == ("done", "pneumonia")
    fail()
    assert (row(study).status, row(study).finding) == ("done", "pneumonia")
    services.analysis_retry(analysis=Analysis.objects.get(status="failed"), actor=scan.upload.user)
    finished_analysis(normal=0.9)
    assert row(study).finding == "normal"


@pytest.fixture
def studies(site, queued, finished_analysis):
    """Three studies: pneumonia of yesterday, normal of today, one still analysing, newest last."""
    made = []
    for number, text in enumerate([{"pneumonia": 0.8}, {"normal": 0.9}, None]):
        patient = PatientFactory(site=site, patient_id=f"00{number}", name=f"DOE^NO{number}")
        taken = datetime(2026, 11, 20 - number, tzinfo=UTC)  # the later it came, the older it is
        study = StudyFactory(patient=patient, accession_number=f"ACC-{number}", study_at=taken)
        queued(series__study=study, received_at=datetime(2026, 11, 20 + number, tzinfo=UTC))
        if text:
            finished_analysis(**text)
        made.append(study)
    return made


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({}, [2, 1, 0]),
        ({"status": "done"}, [1, 0]),
        ({"finding": "pneumonia"}, [0]),
        ({"search": "002"}, [2]),
        ({"search": "no1 doe"}, [1]),
        ({"search": "acc-0"}, [0]),
        ({"search": "nobody"}, []),
        ({"search": "doe", "status": "analysing"}, [2]),
    ],
)
def test_the_worklist_is_newest_first_and_filtered(studies, owner, filters, found):
    rows = worklist(user=owner, filters=Filters(**filters))
    assert [row.study for row in rows] == [studies[i] for i in found]


def test_only_members_who_may_view_see_a_study(studies, owner, teammate, outsider, person, site, other_site):
    auditor = person("auditor", role="auditor", site=site)
    seen = [worklist(user=user).count() for user in (owner, teammate, outsider, auditor, person("nobody"))]
    assert seen == [3, 3, 0, 0, 0]
    assert not worklist(user=owner, site=other_site).exists()
    assert occurring("finding", [site]) == ["normal", "pneumonia"]
    assert occurring("finding", [other_site]) == []
    assert occurring("finding", [site, other_site]) == ["normal", "pneumonia"]


def test_the_worklists_queries_do_not_grow_with_its_rows(studies, owner, django_assert_num_queries):
    with django_assert_num_queries(4):
        page = worklist_page(worklist(user=owner, filters=Filters(search="doe")))
        texts = [(row.study.patient.name, row.worst_scan.view_position) for row in page.rows]
    assert len(texts) == 3


def test_pages_follow_each_other_without_gap_or_repeat(studies, site, owner, queued):
    queued(series__study__patient__site=site, received_at=datetime(2026, 11, 21, tzinfo=UTC))
    expected = [row.study_id for row in worklist(user=owner)]
    seen, after = [], None
    for _ in range(4):
        page = worklist_page(worklist(user=owner), after=after, size=1)
        seen += [row.study_id for row in page.rows]
        assert page.total == 4
        after = page.after
    assert seen == expected
    assert after is None


@pytest.mark.parametrize("mark", ["x", "2026-01-01_x", "6f0d4e0a-9d0e-4d1b-8b1c"])
def test_a_mark_that_is_not_ours_is_an_error_of_the_caller(studies, owner, mark):
    with pytest.raises(CodedError) as caught:
        worklist_page(worklist(user=owner), after=mark)
    assert caught.value.status == 400


def test_a_moved_scan_takes_both_summaries_with_it(site, owner, queued, finished_analysis):
    patient = PatientFactory(site=site)
    study = StudyFactory(patient=patient)
    ill, well = (
        queued(series__study=study, metadata={"StudyInstanceUID": study.study_instance_uid}) for _ in "ab"
    )
    for text in ({"pneumonia": 0.8}, {"normal": 0.9}):
        analysis = Analysis.objects.claim()[0]
        _result_one(analysis, text)
    other = PatientFactory(site=site)
    move = scan_move(scan=ill, patient=other, actor=owner, reason="wrong label")
    assert (row(study).finding, row(study).scans) == ("normal", 1)
    assert (row(move.study).finding, row(move.study).study.patient) == ("pneumonia", other)
    scan_move(scan=well, patient=other, actor=owner, reason="that one too")
    assert not StudySummary.objects.filter(study=study.pk).exists()
    assert row(move.study).scans == 2


def _result_one(analysis: Analysis, text: dict) -> None:
    services.analysis_done(analysis=analysis, prediction=prediction(**text), cam=cam(), seconds=0.1)


def test_a_history_reports_each_scans_result_in_order_of_time(
    site, queued, finished_analysis, django_assert_num_queries
):
    patient = PatientFactory(site=site)
    for day in (2, 1):
        study = StudyFactory(patient=patient, study_at=datetime(2026, 1, day, tzinfo=UTC))
        queued(series__study=study)
    finished_analysis(pneumonia=0.8)
    with django_assert_num_queries(2):
        entries = history(patient)
        reported = [
            (e.study.study_at.day, e.state.analysis.finding, str(e.state.analysis.model_version))
            for e in entries
        ]
    assert reported == [(1, "pneumonia", "cxr-1"), (2, "pneumonia", "cxr-1")]


def test_progress_is_reported_from_upload_to_result(site, queued, finished_analysis):
    upload = UploadFactory(site=site)
    assert (state_of(upload).status, state_of(upload).finished) == ("received", False)
    refused = UploadFactory(site=site, status="refused", refusal="too_small")
    assert (state_of(refused).status, state_of(refused).reason) == ("refused", "too_small")
    failed = UploadFactory(site=site, status="failed", error_code="gave_up")
    assert (state_of(failed).status, state_of(failed).reason) == ("upload_failed", "gave_up")
    scan = queued()
    assert (state_of(scan.upload).status, state_of(scan.upload).finished) == ("analysing", False)
    finished_analysis(normal=0.9)
    assert (state_of(scan.upload).status, state_of(scan.upload).finished) == ("done", True)


def test_a_lease_that_runs_out_does_not_change_what_the_worklist_shows(study, queued):
    queued(series__study=study)
    Analysis.objects.claim()
    Analysis.objects.update(lease_expires_at=F("lease_expires_at") - timedelta(hours=1))
    assert row(study).status == "analysing"


@pytest.mark.parametrize(
    ("filters", "found"),
    [
        ({"probability": (0.85, None)}, [1]),
        ({"probability": (None, 0.85)}, [0]),
        ({"modality": "DX"}, [2, 1, 0]),
        ({"modality": "CT"}, []),
        ({"arrived": datetime(2026, 11, 21, tzinfo=UTC)}, [2, 1]),
        ({"studied": (datetime(2026, 11, 20, tzinfo=UTC), datetime(2026, 11, 21, tzinfo=UTC))}, [0]),
        ({"studied": (datetime(2026, 11, 21, tzinfo=UTC), None)}, []),
        ({"studied": (None, datetime(2026, 11, 20, tzinfo=UTC))}, [1, 2]),
        ({"reader": "nobody"}, [2, 1, 0]),
        ({"reader": "anybody"}, []),
        ({"probability": (0.5, None), "finding": "pneumonia", "search": "doe"}, [0]),
    ],
)
def test_the_worklist_results_what_its_filters_ask(studies, owner, filters, found):
    rows = worklist(user=owner, filters=Filters(**filters))
    assert [row.study for row in rows] == [studies[i] for i in found]


@pytest.mark.parametrize(
    ("order", "first"), [("newest", [2, 1, 0]), ("oldest", [0, 1, 2]), ("worst", [0, 1, 2])]
)
@pytest.mark.parametrize("searched", [False, True])
def test_every_order_pages_without_gap_and_knows_the_neighbours(studies, owner, order, first, searched):
    rows = worklist(user=owner, order=order)
    seen, after = [], None
    for _ in studies:
        page = worklist_page(rows, after=after, size=1, searched=searched)
        seen += page.rows
        after = page.after
    assert [row.study for row in seen] == [studies[i] for i in first]
    assert neighbours(rows, seen[1], searched=searched) == (seen[0], seen[2])
    assert neighbours(rows, seen[0], searched=searched) == (None, seen[1])


@pytest.mark.parametrize(("order", "first"), [("newest", [0, 1, 2]), ("oldest", [2, 1, 0])])
def test_among_study_dates_newest_and_oldest_go_by_the_study(studies, owner, order, first):
    asked = Filters(studied=(datetime(2026, 1, 1, tzinfo=UTC), None))
    rows = worklist(user=owner, filters=asked, order=order)
    assert [row.study for row in rows] == [studies[i] for i in first]
    assert [row.study for row in worklist_page(rows, after=str(rows[0].pk)).rows] == [
        studies[i] for i in first[1:]
    ]
    assert neighbours(rows, rows[1]) == (rows[0], rows[2])


def test_the_least_certain_first_leaves_out_what_has_no_result(studies, owner):
    rows = worklist(user=owner, order="unsure")
    assert {row.study for row in rows} == set(studies[:2])
    assert neighbours(rows, row(studies[2])) == (None, None)


def test_a_page_goes_on_though_the_study_it_ended_with_is_gone(studies, owner):
    rows = worklist(user=owner)
    assert len(worklist_page(rows, after="6f0d4e0a-9d0e-4d1b-8b1c-5a778a7c1f2e").rows) == 3


@pytest.mark.parametrize(
    ("word", "found"), [("li", True), ("da", True), ("ia", False), ("l", True), ("x", False), ("dan", True)]
)
def test_a_short_word_begins_a_part_of_the_name(site, queued, owner, word, found):
    queued(patient=PatientFactory(site=site, name="LIAO^Dan"))
    assert worklist(user=owner, filters=Filters(search=word)).exists() is found


def test_that_there_are_more_than_are_counted_is_not_counted_again(studies, site, monkeypatch):
    cache.clear()
    monkeypatch.setattr(worklist_rows, "COUNTED_AT_MOST", 2)
    rows = StudySummary.objects.filter(site=site)
    assert worklist_rows.count_of_all(rows, whose="site:x") == 3
    with CaptureQueriesContext(connection) as queries:
        assert worklist_rows.count_of_all(rows, whose="site:x") == 3
    assert len(queries) == 0
    cache.clear()
    monkeypatch.setattr(worklist_rows, "COUNTED_AT_MOST", 3)
    assert [worklist_rows.count_of_all(rows, whose="site:x") for _ in range(2)] == [3, 3]
    assert not cache.get("worklist-beyond-cap:site:x")
    cache.clear()
