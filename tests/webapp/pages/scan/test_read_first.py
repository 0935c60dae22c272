"""Read first: nothing on the pages discloses a result before the reader's first impression."""

from __future__ import annotations

import re

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse

from tests import factories
from webapp.accounts.preferences import set_preference
from webapp.labels.models import FirstImpression

pytestmark = pytest.mark.django_db


@pytest.fixture
def first(case, browser, owner):
    set_preference(user=owner, key="read_first", value=True)
    return browser(owner)


def pages_of(case):
    scan = [case.scan.pk]
    names = {"scan": scan, "scan_state": scan, "patient": [case.patient.pk], "worklist": [], "upload": []}
    return {name: reverse(f"pages:{name}", args=keys) for name, keys in names.items()}


def closed_to(case):
    scan = [case.scan.pk]
    names = ("report", "report_pdf", "report_image")
    closed = [reverse(f"pages:{name}", args=scan) for name in names]
    return [*closed, reverse("pages:explanation", args=[case.analysis.pk, "layercam"])]


def commit(client, case, **form):
    url = reverse("pages:reading_sign", args=[case.scan.pk])
    return client.post(url, {"finding": "normal", "impression": "1"} | form)


def test_the_result_is_on_every_page_without_read_first(case, browser, owner):
    for name, address in pages_of(case).items():
        assert "0.82" in browser(owner).get(address).content.decode(), name


def test_no_page_discloses_the_result(case, first):
    for name, address in pages_of(case).items():
        page = first.get(address).content.decode()
        assert "0.82" not in page, name
        assert 'id="cam"' not in page, name
        assert "Result hidden" in page, name


def test_report_heatmaps_and_export_are_closed(case, first):
    for address in closed_to(case):
        assert first.get(address, HTTP_ACCEPT="application/json").json()["code"] == "read_first", address
    assert first.post(reverse("pages:scan_reveal", args=[case.scan.pk])).status_code == 409
    export = b"".join(first.post(reverse("pages:worklist_export")).streaming_content).decode()
    assert "P-42" in export
    assert "0.82" not in export


def test_being_found_by_a_finding_discloses_nothing(case, first):
    first.post(reverse("pages:worklist"), {"finding": "covid19", "sort": "worst"})
    assert "DOE" in first.get(reverse("pages:worklist")).content.decode()


def test_the_first_impression_opens_the_result_and_fills_the_form(case, first, owner):
    assert commit(first, case).status_code == 302
    assert FirstImpression.objects.get().findings == ["normal"]
    page = first.get(pages_of(case)["scan"]).content.decode()
    assert "0.82" in page
    assert 'value="normal" checked' in page
    assert first.get(closed_to(case)[0]).status_code == 200


def test_a_second_first_impression_changes_nothing(case, first):
    commit(first, case)
    commit(first, case, finding="pneumonia")
    assert FirstImpression.objects.get().findings == ["normal"]


def test_a_refused_first_impression_keeps_the_result_hidden(case, first):
    response = commit(first, case, finding=["normal", "pneumonia"])
    assert response.status_code == 400
    assert "0.82" not in response.content.decode()
    assert not FirstImpression.objects.exists()


def test_a_site_may_require_it_of_its_readers(case, site, browser, teammate):
    site.read_first = True
    site.save()
    assert "0.82" not in browser(teammate).get(pages_of(case)["scan"]).content.decode()


def switch_of(page):
    return re.search(r'<input type="checkbox" data-read-first([^>]*)>', page)[1].split()


def test_the_page_has_the_readers_switch_which_the_sites_rule_locks(case, site, browser, owner, teammate):
    address = pages_of(case)["scan"]
    assert switch_of(browser(owner).get(address).content.decode()) == []
    set_preference(user=owner, key="read_first", value=True)
    assert switch_of(browser(owner).get(address).content.decode()) == ["checked"]
    site.read_first = True
    site.save()
    assert switch_of(browser(teammate).get(address).content.decode()) == ["checked", "disabled"]


def test_a_worklist_page_fetches_only_its_own_studies_impressions(
    case, first, owner, site, finished_analysis
):
    """The number of queries stays, and so does what they return, however much the reader has read."""
    sizes = []
    for _ in range(2):
        with CaptureQueriesContext(connection) as queries:
            first.get(reverse("pages:worklist"), {"page_size": 1})
        sizes.append([len(one["sql"]) for one in queries if "firstimpression" in one["sql"]])
        for scan in factories.ScanFactory.create_batch(5, site=site):
            FirstImpression.objects.create(site=site, study=scan.study, reader=owner, findings=["normal"])
    assert sizes[0] == sizes[1]
    assert len(sizes[0]) == 1
