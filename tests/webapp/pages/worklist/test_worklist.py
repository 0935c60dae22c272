from __future__ import annotations

from datetime import timedelta

import pytest
from django.utils import timezone

from tests import factories
from tests.webapp.pages.conftest import renew
from webapp.scans.models import Upload

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def test_a_row_states_whose_study_what_was_found_and_how_sure(case, browser, owner):
    page = text_of(browser(owner).get("/"))
    assert "DOE, Jane" in page
    assert "P-42" in page
    assert "Pneumonia" in page
    assert ">0.82<" in page
    assert f"/scans/{case.scan.pk}/" in page


def test_the_tooltip_of_a_finding_is_the_prediction_set(case, browser, owner):
    analysis = case.scan.analyses.get()
    analysis.prediction_set = {"findings": ["pneumonia", "covid19"], "coverage": 0.9}
    analysis.save()
    assert "Prediction set" not in text_of(browser(owner).get("/"))
    renew(case.scan)
    assert 'title="Prediction set: Pneumonia or COVID-19 (90 % coverage)"' in text_of(browser(owner).get("/"))


def test_a_row_marks_a_result_with_warnings(case, browser, owner):
    assert "caution" not in text_of(browser(owner).get("/"))
    case.scan.analyses.update(warnings=["mirrored", "map_outside_lungs"])
    renew(case.scan)
    page = text_of(browser(owner).get("/"))
    assert 'title="The image may be mirrored. Most of the heatmap lies outside the lungs."' in page
    assert "Warnings: The image may be mirrored." in page


def test_newest_studies_come_first(site, finished_analysis, browser, owner):
    now = timezone.now()
    for hours, name in ((5, "OLD^A"), (1, "NEW^B"), (3, "MIDDLE^C")):
        scan = factories.ScanFactory(site=site, received_at=now - timedelta(hours=hours), patient__name=name)
        finished_analysis(scan, normal=0.9)
    page = text_of(browser(owner).get("/"))
    assert page.index("NEW, B") < page.index("MIDDLE, C") < page.index("OLD, A")


def test_a_search_is_posted_kept_and_never_put_into_the_address(
    case, browser, owner, site, finished_analysis
):
    other = factories.ScanFactory(site=site, patient__name="ROE^R")
    finished_analysis(other, normal=0.9)
    client = browser(owner)
    found = client.post("/", {"q": "doe jane"}, follow=True)
    assert found.redirect_chain == [("/", 302)]
    assert "DOE, Jane" in text_of(found)
    assert "ROE, R" not in text_of(found)
    assert "ROE, R" not in text_of(client.get("/worklist/rows/"))
    assert "ROE, R" in text_of(client.post("/", {"clear": "1"}, follow=True))


@pytest.mark.parametrize(
    ("asked", "seen"),
    [
        ({"finding": "pneumonia"}, True),
        ({"finding": "covid19"}, False),
        ({"status": "done"}, True),
        ({"status": "failed"}, False),
        ({"q": "P-42"}, True),
        ({"q": "P-43"}, False),
    ],
)
def test_filters_by_status_finding_and_identifier(asked, seen, case, browser, owner):
    assert ("DOE, Jane" in text_of(browser(owner).post("/", asked, follow=True))) is seen


def test_a_search_without_a_match_states_so_and_offers_to_clear(case, browser, owner):
    page = text_of(browser(owner).post("/", {"q": "nobody"}, follow=True))
    assert "No matching studies" in page
    assert 'name="clear"' in page


def test_an_abstention_states_what_was_seen_in_place_of_a_finding(
    case, finished_analysis, browser, owner, site
):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="lateral_view", pneumonia=0.9)
    page = text_of(browser(owner).get("/"))
    assert "No result: this looks like a lateral view" in page
    assert ">0.90<" not in page


def test_a_scan_without_a_model_waits(site, browser, owner):
    renew(factories.ScanFactory(site=site, slot="ct"))
    assert "Waiting: no model is active" in text_of(browser(owner).get("/"))


def test_files_being_read_are_counted_above_the_studies(case, browser, owner, site):
    factories.UploadFactory(site=site, user=owner, status=Upload.Status.RECEIVED)
    assert "1 file is being processed" in text_of(browser(owner).get("/worklist/rows/"))


def test_an_empty_worklist_sends_a_newcomer_on(browser, owner):
    page = text_of(browser(owner).get("/"))
    assert "No studies yet" in page
    assert 'href="/phantoms/"' in page
    assert 'href="/upload/"' in page


def test_another_sites_studies_are_not_listed(case, browser, outsider):
    assert "DOE, Jane" not in text_of(browser(outsider).get("/"))


def test_only_findings_of_the_own_site_are_offered_and_never_looked_up_by_the_poll(
    case, finished_analysis, browser, owner, other_site
):
    finished_analysis(factories.ScanFactory(site=other_site), covid19=0.9)
    client = browser(owner)
    assert client.get("/").context["findings"] == ["pneumonia"]
    assert "findings" not in client.get("/worklist/rows/").context


def test_pages_follow_one_another(site, finished_analysis, browser, owner, monkeypatch):
    monkeypatch.setattr("webapp.pages.worklist.views.ROWS_A_PAGE", 2)
    now = timezone.now()
    for number in range(5):
        finished_analysis(
            factories.ScanFactory(site=site, received_at=now - timedelta(hours=number)),
            normal=0.9,
        )
    client, seen, where = browser(owner), [], "/"
    while where:
        response = client.get(where)
        seen += [row["study_id"] for row in response.context["rows"]]
        page = response.context["page"]
        where = f"/?after={page.after}" if page.after else ""
    assert len(seen) == len(set(seen)) == 5


@pytest.mark.usefixtures("later_in_the_visit")
def test_a_long_worklist_costs_as_many_queries_as_a_short_one(
    case, site, finished_analysis, browser, owner, django_assert_num_queries, django_assert_max_num_queries
):
    client = browser(owner)
    with django_assert_max_num_queries(18) as short:
        client.get("/")
    for _ in range(6):
        finished_analysis(factories.ScanFactory(site=site), pneumonia=0.7)
    with django_assert_num_queries(len(short)):
        client.get("/")
