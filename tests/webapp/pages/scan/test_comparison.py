"""Two scans of one patient next to each other, and findings over time: by the numbers of one version."""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from tests import factories
from webapp.accounts.preferences import set_preference
from webapp.analysis.models import Analysis
from webapp.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


@pytest.fixture
def prior(case, site):
    """An earlier scan of the same patient."""
    study = factories.StudyFactory(patient=case.patient, study_at=datetime(2026, 3, 1, tzinfo=UTC))
    return factories.ScanFactory(site=site, series__study=study)


@pytest.fixture
def older(db):
    return factories.ModelVersionFactory(status="retired", number=900)


def next_to(case, other) -> str:
    return f"/scans/{case.scan.pk}/compare/{other.pk}/"


def test_a_prior_stands_with_with_both_numbers_and_their_change(
    case, prior, finished_analysis, browser, owner
):
    finished_analysis(prior, pneumonia=0.31, normal=0.6)
    page = text_of(browser(owner).get(next_to(case, prior)))
    assert page.count("data-viewport") == 2
    assert '<td class="number">0.82</td><td class="number">0.31</td><td class="number">+0.51</td>' in page
    assert '<td class="number">0.10</td><td class="number">0.60</td><td class="number">−0.50</td>' in page
    assert f"Both values from model {case.analysis.model_version}" in page
    assert 'id="cam-other"' in page
    images = json.loads(page.split('id="images" type="application/json">')[1].split("</script>")[0])
    assert [image["id"] for image in images] == [str(case.scan.pk), str(prior.pk)]


def test_numbers_of_another_version_are_not_compared(case, prior, finished_analysis, older, browser, owner):
    finished_analysis(prior, version=older, pneumonia=0.31)
    page = text_of(browser(owner).get(next_to(case, prior)))
    assert "0.31" not in page.split('aria-label="Comparison"')[1].split("</section>")[0]
    assert "cannot be compared" in page
    assert 'id="cam-other"' not in page


def test_what_is_withheld_there_is_not_shown_with(case, prior, finished_analysis, browser, owner):
    finished_analysis(prior, abstention="lateral_view", pneumonia=0.77)
    assert "0.77" not in text_of(browser(owner).get(next_to(case, prior)))


def test_two_people_are_not_compared(case, finished_analysis, browser, owner, site):
    foreign = factories.ScanFactory(site=site)
    finished_analysis(foreign, normal=0.9)
    client = browser(owner)
    for other in (foreign, case.scan):
        assert client.get(next_to(case, other)).status_code == 404
        assert client.get(f"{next_to(case, other)}state/").status_code == 404


def test_an_outsider_sees_neither_of_the_two(case, prior, browser, teammate, outsider):
    assert browser(teammate).get(next_to(case, prior)).status_code == 200
    assert browser(outsider).get(next_to(case, prior)).status_code == 404
    assert browser(outsider).get(f"{next_to(case, prior)}state/").status_code == 404


def test_the_panel_alone_keeps_what_stands_with(case, prior, finished_analysis, browser, owner):
    finished_analysis(prior, pneumonia=0.31)
    assert "0.31" in text_of(browser(owner).get(f"{next_to(case, prior)}state/"))


def test_the_line_over_time_is_one_versions(case, prior, finished_analysis, older, browser, owner):
    finished_analysis(prior, version=older, pneumonia=0.12, normal=0.8)
    client = browser(owner)
    page = text_of(client.get(f"/scans/{case.scan.pk}/"))
    assert "0.12 →" not in page
    assert "1 scan has results from other model versions only" in page
    finished_analysis(prior, pneumonia=0.31, normal=0.6)
    page = text_of(client.get(f"/scans/{case.scan.pk}/"))
    assert "0.31 → 0.82" in page
    assert f"All values from model {case.analysis.model_version}" in page
    assert "other versions" not in page


def test_the_patients_page_draws_one_versions_line_too(case, prior, finished_analysis, older, browser, owner):
    finished_analysis(prior, version=older, pneumonia=0.12)
    page = text_of(browser(owner).get(f"/patients/{case.patient.pk}/"))
    assert "0.12 →" not in page
    assert "1 scan has results from other model versions only" in page


@pytest.mark.parametrize("where", ["scans/{scan}", "patients/{patient}"])
def test_all_scans_are_scored_by_the_active_model_on_request(
    where, case, prior, finished_analysis, older, browser, owner, outsider
):
    finished_analysis(prior, version=older, pneumonia=0.12)
    where = "/" + where.format(scan=case.scan.pk, patient=case.patient.pk)
    assert browser(outsider).post(f"{where}/rescore/").status_code == 404
    assert not AuditEvent.objects.filter(action="patient.rescored").exists()
    page = text_of(browser(owner).post(f"{where}/rescore/", follow=True))
    assert "1 scan queued for the active model" in page
    queued = Analysis.objects.get(status="queued")
    assert (queued.scan, queued.model_version) == (prior, case.analysis.model_version)
    assert AuditEvent.objects.get(action="patient.rescored").actor == owner


def test_scoring_again_needs_the_permission(case, browser, person, site):
    auditor = person("auditor", role="auditor", site=site)
    assert browser(auditor).post(f"/patients/{case.patient.pk}/rescore/").status_code == 404
    assert not AuditEvent.objects.filter(action="patient.rescored").exists()


@pytest.mark.usefixtures("later_in_the_visit")
def test_more_priors_cost_no_more_queries(
    case,
    prior,
    finished_analysis,
    browser,
    owner,
    site,
    django_assert_num_queries,
    django_assert_max_num_queries,
):
    finished_analysis(prior, normal=0.9)
    client = browser(owner)
    # Saved marks and key images of both images are four of them.
    with django_assert_max_num_queries(24) as few:
        client.get(next_to(case, prior))
    for _ in range(5):
        finished_analysis(factories.ScanFactory(site=site, patient=case.patient), normal=0.9)
    with django_assert_num_queries(len(few)):
        client.get(next_to(case, prior))


def of_view(scan, view, modality="DX"):
    scan.view_position, scan.series.modality = view, modality
    scan.series.save()
    scan.save()
    return scan


@pytest.mark.parametrize(
    ("view", "modality", "opened"),
    [("AP", "DX", True), ("PA", "DX", True), ("LL", "DX", False), ("PA", "CT", False)],
)
def test_the_latest_comparable_prior_opens_with_the_scan_for_whoever_chose_it(
    case, prior, browser, owner, view, modality, opened
):
    of_view(case.scan, "PA")
    of_view(prior, view, modality)
    address = f"/scans/{case.scan.pk}/"
    assert text_of(browser(owner).get(address)).count("data-viewport") == 1
    set_preference(user=owner, key="open_prior", value=True)
    assert text_of(browser(owner).get(address)).count("data-viewport") == 1 + opened
    assert text_of(browser(owner).get(f"{address}?alone")).count("data-viewport") == 1


def test_two_views_of_one_study_are_shown_side_by_side_without_a_change_over_time(case, site, browser, owner):
    of_view(case.scan, "PA")
    lateral = of_view(factories.ScanFactory(site=site, series__study=case.scan.study), "LL")
    page = text_of(browser(owner).get(f"/scans/{case.scan.pk}/"))
    assert next_to(case, lateral) in page.split('aria-label="Images of this study"')[1].split("</nav>")[0]
    page = text_of(browser(owner).get(next_to(case, lateral)))
    assert page.count("data-viewport") == 2
    assert "Same study" in page
    assert 'aria-label="Comparison"' not in page
