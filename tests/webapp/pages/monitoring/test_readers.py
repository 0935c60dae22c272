"""Monitoring per reader: agreement with the model before and after, and changes against ground truth."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.labels.read_first import impression_commit
from webapp.labels.readings import reading_sign
from webapp.monitoring.readers import ReaderChange, reader_changes

pytestmark = pytest.mark.django_db
PAGE = "/monitoring/"


@pytest.fixture
def read(site, finished_analysis):
    """Signs a study after a first impression; the model reports pneumonia."""

    def read(
        reader, before: list[str], after: list[str], *, reference: dict[str, str] | None = None, **stated
    ):
        scan = factories.ScanFactory(site=site)
        finished_analysis(scan, **(stated or {"pneumonia": 0.9}))
        impression_commit(study=scan.study, actor=reader, findings=before)
        reading_sign(study=scan.study, actor=reader, findings=after)
        if reference:
            factories.LabelFactory(scan=scan, findings=reference)

    return read


def text(response) -> str:
    return " ".join(response.content.decode().split())


def test_agreement_is_counted_before_and_after(read, owner, teammate, site):
    read(owner, ["normal"], ["pneumonia"])
    read(owner, ["pneumonia"], ["pneumonia"])
    read(owner, ["inconclusive"], ["normal"])  # states nothing to agree with
    read(teammate, ["normal"], ["normal"])
    assert reader_changes(site) == [
        ReaderChange("owner", studies=3, judged=2, before=1, after=2, changed=2),
        ReaderChange("teammate", studies=1, judged=1),
    ]


def test_changes_are_judged_where_labels_exist(read, owner, site):
    present, absent = {"pneumonia": "present"}, {"pneumonia": "absent"}
    read(owner, ["normal"], ["pneumonia"], reference=present)
    read(owner, ["normal"], ["pneumonia"], reference=absent)
    read(owner, ["normal"], ["pneumonia"], reference=absent)
    read(owner, ["covid19"], ["normal"], reference=absent)  # as right as before in what is labelled
    read(owner, ["normal"], ["normal"], reference=present)
    read(owner, ["normal"], ["pneumonia"], reference={"pneumonia": "uncertain"})
    (row,) = reader_changes(site)
    assert (row.changed, row.labelled, row.better, row.worse) == (5, 4, 1, 2)


def test_a_correction_counts_once_with_its_latest_findings(read, owner, site):
    read(owner, ["normal"], ["normal"])
    reading = owner.readings.get()
    reading_sign(study=reading.study, actor=owner, findings=["pneumonia"], after=reading.pk)
    assert reader_changes(site) == [ReaderChange("owner", studies=1, judged=1, after=1, changed=1)]


def test_a_reading_without_a_first_impression_does_not_count(owner, site, finished_analysis):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, pneumonia=0.9)
    reading_sign(study=scan.study, actor=owner, findings=["normal"])
    assert reader_changes(site) == []


def test_the_number_of_queries_does_not_grow(read, owner, teammate, site, django_assert_max_num_queries):
    for reader in (owner, teammate, owner, teammate):
        read(reader, ["normal"], ["pneumonia"], reference={"pneumonia": "present"})
    with django_assert_max_num_queries(5):
        reader_changes(site)


def test_readers_see_their_own_figures_and_the_admin_all(read, owner, teammate, browser, person, site):
    read(owner, ["normal"], ["pneumonia"])
    read(teammate, ["pneumonia"], ["pneumonia"])
    own = text(browser(owner).get(PAGE)).split("My readings with a first impression")[1]
    assert "0 of 1" in own
    assert "teammate" not in own
    ada = browser(person("ada", role="admin", site=site))
    everybody = text(ada.get(PAGE)).split("Readers who read first</h2>")[1]
    assert '<th scope="row">owner</th>' in everybody
    assert '<th scope="row">teammate</th>' in everybody


def test_without_readings_the_page_says_how_to_start(browser, owner, site):
    assert "Switch on Read first next to the reading form" in text(browser(owner).get(PAGE))
