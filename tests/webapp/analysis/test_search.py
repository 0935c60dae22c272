"""By what a study is found, and that it stays true when names come in, patients are merged, and unmerged."""

from __future__ import annotations

import pytest
from django.core.management import CommandError, call_command
from django.db import connection

from tests.factories import PatientFactory, StudyFactory
from webapp.analysis.checks import names_have_an_index
from webapp.analysis.models import StudySummary
from webapp.analysis.worklist import search_index, summaries
from webapp.analysis.worklist.query import Filters, worklist
from webapp.analysis.worklist.search_text import search_text
from webapp.scans.patients.corrections import patient_merge, patient_unmerge

pytestmark = pytest.mark.django_db


def found(user, search: str) -> set:
    return {row.study_id for row in worklist(user=user, filters=Filters(search=search))}


@pytest.fixture
def study(site, queued):
    study = StudyFactory(
        patient=PatientFactory(site=site, patient_id="P-42", name="SMITH-JONES^Zoë"), accession_number="acc-9"
    )
    queued(series__study=study)
    return study


def test_the_text_has_each_part_after_a_bar():
    assert search_text("P-42", "DOE^Jane=ドウ^J") == "|p|42|doe|jane|ドウ|j|"


@pytest.mark.parametrize(
    "search",
    ["smith", "jones", "smith-jones", "ZOË", "zoë smith", "p-42", "P-4", "ACC-9", "acc", "42", "zo", "ITH"],
)
def test_a_study_is_found_by_words_of_name_identifier_and_number(study, owner, search):
    assert found(owner, search) == {study.pk}


@pytest.mark.parametrize("search", ["smythe", "smith jane", "oe", "cc-9", "%", "_mith", "2"])
def test_what_is_not_there_is_not_found(study, owner, search):
    assert found(owner, search) == set()


def test_a_name_that_comes_later_finds_the_earlier_studies_too(study, site, owner, queued):
    patient = PatientFactory(site=site, patient_id="X-1", name="")
    first, second = StudyFactory(patient=patient), StudyFactory(patient=patient)
    queued(series__study=first)
    patient.name = "NEWMAN^N"
    patient.save()
    queued(series__study=second)
    assert found(owner, "newman") == {first.pk, second.pk}


def test_a_merged_patient_is_found_by_both_names_and_after_unmerging_by_their_own(
    study, site, owner, queued, person
):
    boss = person("boss", role="admin", site=site)
    other = StudyFactory(patient__site=site, patient__name="BORN^As")
    queued(series__study=other)
    both = {study.pk, other.pk}
    merge = patient_merge(source=other.patient, target=study.patient, actor=boss, reason="married")
    assert found(owner, "born") == found(owner, "smith") == both
    patient_unmerge(merge=merge, actor=boss, reason="not so")
    assert (found(owner, "born"), found(owner, "smith")) == ({other.pk}, {study.pk})


def test_renewing_a_study_does_not_touch_names_that_are_right(study, django_assert_num_queries):
    with django_assert_num_queries(3):
        summaries.refresh_names([study.patient_id])
    assert StudySummary.objects.get().who.startswith("|p|42|")


def test_the_index_of_names_is_made_once_and_missed_where_it_is_not(db):
    if connection.vendor != "postgresql":
        assert not search_index.build(connection)
        assert names_have_an_index(None, databases=["default"]) == []
        with pytest.raises(CommandError, match="Only PostgreSQL"):
            call_command("build_search_index")
        return
    assert search_index.build(connection)
    assert names_have_an_index(None, databases=["default"]) == []
    connection.cursor().execute(f"DROP INDEX {search_index.BY_WHO}")
    assert [warning.id for warning in names_have_an_index(None, databases=["default"])] == ["hilum.W011"]
    call_command("build_search_index", verbosity=0)
    assert search_index.names_are_indexed(connection)
