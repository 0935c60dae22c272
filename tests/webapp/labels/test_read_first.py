"""Which results are hidden from a reader is looked up for the asked studies, not for all they ever read."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext

from tests import factories
from webapp.accounts.preferences import set_preference
from webapp.labels.models import FirstImpression
from webapp.labels.read_first import HiddenResults
from webapp.labels.readings import reading_sign

pytestmark = pytest.mark.django_db


@pytest.fixture
def reader(owner):
    set_preference(user=owner, key="read_first", value=True)
    return owner


@pytest.fixture
def studies(site):
    return [scan.study for scan in factories.ScanFactory.create_batch(4, site=site)]


def impression(reader, study):
    FirstImpression.objects.create(site=study.site, study=study, reader=reader, findings=["normal"])


def test_a_first_impression_or_a_reading_of_the_reader_shows_the_study(reader, teammate, studies):
    impression(reader, studies[0])
    reading_sign(study=studies[1], actor=reader, findings=["normal"], comment="")
    impression(teammate, studies[2])
    hiding = HiddenResults(reader)
    hiding.prepare(study.pk for study in studies)
    assert [hiding.of(study.pk, study.site_id) for study in studies] == [False, False, True, True]


def test_the_asked_studies_take_two_queries_that_name_no_other_study(reader, studies):
    for study in studies:
        impression(reader, study)
    hiding, asked = HiddenResults(reader), studies[:2]
    assert hiding.sites
    with CaptureQueriesContext(connection) as queries:
        hiding.prepare(study.pk for study in asked)
        assert not any(hiding.of(study.pk, study.site_id) for study in [*asked, *asked])
    assert len(queries) == 2
    for study in studies:
        named = [study.pk.hex in one["sql"].replace("-", "") for one in queries]
        assert named == [study in asked] * 2


def test_a_study_that_was_not_prepared_is_looked_up_singly(reader, studies):
    impression(reader, studies[0])
    hiding = HiddenResults(reader)
    hiding.prepare([studies[1].pk])
    assert hiding.of(studies[1].pk, studies[1].site_id)
    assert not hiding.of(studies[0].pk, studies[0].site_id)


def test_nothing_is_asked_for_a_reader_who_does_not_read_first(owner, studies):
    hiding = HiddenResults(owner)
    assert not hiding.sites
    with CaptureQueriesContext(connection) as queries:
        hiding.prepare(study.pk for study in studies)
        assert not hiding.of(studies[0].pk, studies[0].site_id)
    assert not len(queries)
