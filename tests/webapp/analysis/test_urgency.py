"""Urgent studies: by hand, by the DICOM header, by the site's rule; who comes first, who hears of it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from django.core import mail

from tests.factories import ScanFactory, StudyFactory
from webapp.analysis.models import StudySummary, UrgentCase
from webapp.analysis.worklist import summaries, triage, urgency
from webapp.analysis.worklist.query import Filters, unread_count, worklist
from webapp.core.errors import CodedError
from webapp.labels.readings import reading_sign
from webapp.webhooks.models import Event
from worker.jobs.mail.urgent_cases import send_urgent_cases

pytestmark = pytest.mark.django_db


@pytest.fixture
def study(site):
    return StudyFactory(patient__site=site)


@pytest.fixture
def chief(person, site):
    return person("chief", role="admin", site=site)


def row(study) -> StudySummary:
    return StudySummary.objects.get(study=study)


def sign(study, reader) -> None:
    reading_sign(study=study, actor=reader, findings=["normal"], comment="")


def test_a_result_above_the_sites_rule_makes_the_study_urgent(site, chief, study, queued, finished_analysis):
    urgency.rules_set(site=site, actor=chief, rules={"pneumonia": 0.9})
    queued(series__study=study)
    finished_analysis(pneumonia=0.95)
    other = queued(series__study__patient__site=site).study
    finished_analysis(pneumonia=0.85)
    assert [row(one).urgent for one in (study, other)] == ["rule", ""]
    assert [case.study for case in UrgentCase.objects.all()] == [study]
    assert Event.objects.filter(kind="study.urgent").get().data == {"reason": "rule"}


def test_a_rule_is_that_of_one_site(site, other_site, chief, person, study, queued, finished_analysis):
    elsewhere = person("elsewhere", role="admin", site=other_site)
    urgency.rules_set(site=other_site, actor=elsewhere, rules={"pneumonia": 0.5})
    queued(series__study=study)
    finished_analysis(pneumonia=0.95)
    assert row(study).urgent == ""


def test_a_changed_rule_applies_to_unread_studies_but_tells_nobody(
    site, chief, study, queued, finished_analysis
):
    queued(series__study=study)
    finished_analysis(pneumonia=0.95)
    before = row(study).turn
    urgency.rules_set(site=site, actor=chief, rules={"pneumonia": 0.9})
    assert (row(study).urgent, row(study).turn < before) == ("rule", True)
    assert not UrgentCase.objects.exists()
    urgency.rules_set(site=site, actor=chief, rules={})
    assert (row(study).urgent, row(study).turn) == ("", before)


@pytest.mark.parametrize(("stated", "found"), [("STAT", "dicom"), ("high", "dicom"), ("ROUTINE", "")])
def test_the_priority_of_the_header_makes_a_study_urgent(study, queued, stated, found):
    queued(series__study=study, metadata={"RequestedProcedurePriority": stated})
    assert row(study).urgent == found


def test_a_readers_decision_comes_before_header_and_rule(study, queued, owner):
    queued(series__study=study, metadata={"RequestedProcedurePriority": "STAT"})
    triage.studies_flag(user=owner, studies=[study.pk], urgent=False)
    assert row(study).urgent == ""
    triage.studies_flag(user=owner, studies=[study.pk], urgent=True)
    assert row(study).urgent == "hand"


def test_urgent_studies_come_first_then_the_longest_waiting_and_read_ones_last(
    site, owner, queued, finished_analysis
):
    made = []
    for day in (1, 2, 3, 4):
        scan = queued(series__study__patient__site=site, received_at=datetime(2026, 11, day, tzinfo=UTC))
        finished_analysis(normal=0.9)
        made.append(scan)
    first, second, third, fourth = [scan.study for scan in made]
    triage.studies_flag(user=owner, studies=[third.pk, fourth.pk], urgent=True)
    sign(made[0].study, owner)
    found = [one.study for one in worklist(user=owner, order="waiting")]
    assert found == [third, fourth, second, first]
    assert [one.study for one in worklist(user=owner, filters=Filters(urgent=True))] == [fourth, third]
    assert unread_count(site, 100) == 3


def test_a_study_is_assigned_to_a_reader_of_its_site_only(study, queued, owner, teammate, outsider):
    queued(series__study=study)
    triage.studies_assign(user=owner, studies=[study.pk], reader=teammate)
    assert row(study).assigned == teammate
    assert worklist(user=owner, filters=Filters(assigned=teammate.pk)).count() == 1
    with pytest.raises(CodedError, match=outsider.username):
        triage.studies_assign(user=owner, studies=[study.pk], reader=outsider)
    triage.studies_assign(user=owner, studies=[study.pk], reader=None)
    assert worklist(user=owner, filters=Filters(assigned="nobody")).count() == 1


def test_tags_are_seen_by_all_and_filter_the_list(study, queued, owner):
    queued(series__study=study)
    triage.studies_tag(user=owner, studies=[study.pk], name="  teaching  case ")
    assert triage.tags_at([study.site]) == ["teaching case"]
    assert worklist(user=owner, filters=Filters(tag="teaching case")).count() == 1
    triage.studies_tag(user=owner, studies=[study.pk], name="teaching case", remove=True)
    assert worklist(user=owner, filters=Filters(tag="teaching case")).count() == 0
    with pytest.raises(CodedError, match="“”"):
        triage.studies_tag(user=owner, studies=[study.pk], name=" ")


def test_studies_of_other_sites_are_left_alone(study, queued, outsider):
    queued(series__study=study)
    assert triage.studies_flag(user=outsider, studies=[study.pk], urgent=True) == 0
    assert row(study).urgent == ""


def test_only_who_may_set_the_operating_point_sets_the_rule(site, owner):
    with pytest.raises(CodedError, match="forbidden"):
        urgency.rules_set(site=site, actor=owner, rules={})


@pytest.mark.parametrize("probability", [-0.1, 1.5])
def test_a_rule_outside_of_0_to_1_is_refused_with_its_value(site, chief, probability):
    with pytest.raises(CodedError, match=str(probability)):
        urgency.rules_set(site=site, actor=chief, rules={"pneumonia": probability})


def test_an_urgent_study_is_mailed_once_to_those_who_asked(study, queued, owner, teammate, settings):
    for user, wants in ((owner, True), (teammate, False)):
        user.email, user.preferences = f"{user.username}@example.org", {"urgent_mail": wants}
        user.save()
    queued(series__study=study, metadata={"RequestedProcedurePriority": "STAT"})
    settings.HILUM_MAIL = False
    assert send_urgent_cases() == 0
    settings.HILUM_MAIL = True
    assert (send_urgent_cases(), send_urgent_cases()) == (1, 0)
    (sent,) = mail.outbox
    assert sent.to == [owner.email]
    assert study.patient.patient_id not in sent.body + sent.subject


def test_a_study_that_stays_urgent_is_announced_once(study, queued):
    scan = queued(series__study=study, metadata={"RequestedProcedurePriority": "STAT"})
    summaries.refresh([scan.pk])
    assert UrgentCase.objects.count() == 1


def test_a_study_that_is_read_already_is_not_announced(site, owner, study):
    scan = ScanFactory(site=site, series__study=study)
    sign(scan.study, owner)
    triage.studies_flag(user=owner, studies=[study.pk], urgent=True)
    assert not UrgentCase.objects.exists()
