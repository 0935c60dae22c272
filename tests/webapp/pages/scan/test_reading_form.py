"""The reading form: refusals stay on the page, drafts come back, signing leads on."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.urls import reverse

from tests import factories
from tests.webapp.pages.conftest import renew
from webapp.labels.drafts import draft_save
from webapp.labels.marks.services import mark_add
from webapp.labels.models import Reading, ReadingDraft, ReportTemplate
from webapp.labels.readings import reading_sign, seal

pytestmark = pytest.mark.django_db


def sign_url(case):
    return reverse("pages:reading_sign", args=[case.scan.pk])


def page_of(client, case):
    return client.get(reverse("pages:scan", args=[case.scan.pk])).content.decode()


@pytest.mark.parametrize(
    ("findings", "code"), [([], "finding_missing"), (["normal", "covid19"], "findings_contradict")]
)
def test_a_refused_form_stays_on_the_page_with_all_that_was_entered(case, browser, owner, findings, code):
    text = {"finding": findings, "comment": "Small effusion?", "comparison": "Larger than in May."}
    response = browser(owner).post(sign_url(case), text)
    page = response.content.decode()
    assert response.status_code == 400
    assert f"<code>{code}</code>" in page
    assert "data-viewer" in page
    assert "Small effusion?</textarea>" in page
    assert "Larger than in May.</textarea>" in page
    for finding in findings:
        assert f'value="{finding}" checked' in page
    assert not Reading.objects.exists()


def test_the_pages_script_gets_the_code_of_a_refusal(case, browser, owner):
    response = browser(owner).post(sign_url(case), {"comment": "x"}, HTTP_ACCEPT="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "finding_missing")
    assert response.json()["remedy"]


def test_the_pages_script_gets_the_address_to_go_to(case, browser, owner):
    response = browser(owner).post(sign_url(case), {"finding": "normal"}, HTTP_ACCEPT="application/json")
    assert response.json() == {"href": reverse("pages:scan", args=[case.scan.pk])}
    assert Reading.objects.get().findings == ["normal"]


def test_sign_and_next_opens_the_next_study_even_where_the_list_shows_unread_ones_alone(
    case, browser, owner, site, finished_analysis
):
    older = factories.ScanFactory(site=site, received_at=case.scan.received_at.replace(year=2020))
    finished_analysis(older, normal=0.9)
    renew(case.scan, older)
    client = browser(owner)
    client.post(reverse("pages:worklist"), {"reader": "nobody"})
    response = client.post(sign_url(case), {"finding": "pneumonia", "next": "1"})
    assert response.url == reverse("pages:scan", args=[older.pk])
    case.scan = older
    last = client.post(sign_url(case), {"finding": "normal", "next": "1"}, follow=True)
    assert last.redirect_chain[0][0] == reverse("pages:worklist")
    assert b"It was the last study of your list." in last.content


def test_a_draft_comes_back_to_its_reader_alone(case, browser, owner, teammate):
    client = browser(owner)
    body = {"findings": ["normal", "covid19"], "comment": "To be <checked>", "comparison": ""}
    url = reverse("pages:reading_draft", args=[case.scan.pk])
    response = client.post(url, body, content_type="application/json")
    assert response.json()["saved_at"]
    page = page_of(client, case)
    assert "To be &lt;checked&gt;</textarea>" in page
    assert 'value="covid19" checked' in page
    assert "Draft saved" in page
    assert "To be" not in page_of(browser(teammate), case)


@pytest.mark.parametrize("body", ["", "[]", "{}", '{"findings": 3}'])
def test_a_draft_that_is_none_is_refused_with_a_code(case, browser, owner, body):
    url = reverse("pages:reading_draft", args=[case.scan.pk])
    response = browser(owner).post(url, body, content_type="application/json", HTTP_ACCEPT="application/json")
    assert (response.status_code, response.json()["code"]) == (400, "invalid")
    assert not ReadingDraft.objects.exists()


def test_a_correction_begins_with_what_was_signed(case, browser, owner):
    reading_sign(study=case.scan.study, actor=owner, findings=["covid19"], comment="Both bases.")
    page = page_of(browser(owner), case)
    assert 'value="covid19" checked' in page
    assert "Both bases.</textarea>" in page


def test_a_draft_of_a_correction_is_shown_open_in_place_of_what_was_signed(case, browser, owner):
    reading_sign(study=case.scan.study, actor=owner, findings=["covid19"], comment="Both bases.")
    draft_save(study=case.scan.study, actor=owner, findings=["normal"])
    page = page_of(browser(owner), case)
    assert '<details class="sign-reading" open>' in page
    assert 'value="covid19" checked' not in page
    assert 'value="normal" checked' in page


def test_the_comparison_is_signed_sealed_and_shown(case, browser, owner):
    client = browser(owner)
    client.post(sign_url(case), {"finding": "normal", "comparison": "Unchanged since May."})
    reading = Reading.objects.get()
    assert reading.comparison == "Unchanged since May."
    assert "Unchanged since May." in page_of(client, case)
    reading.comparison = "Worse."
    assert seal(reading) != reading.sha256


def test_a_template_of_the_site_is_offered_with_prior_and_measurements_filled_in(
    case, browser, owner, teammate, site, other_site
):
    study = case.scan.study
    factories.StudyFactory(patient=case.patient, study_date=study.study_date - timedelta(days=30))
    for author, end in ((owner, 50), (teammate, 20)):
        mark_add(scan=case.scan, actor=author, kind="length", points=[[0, 0], [0, end]], text="")
    text = {"impression": "Clear. {measurements}", "comparison": "Unchanged since {prior}."}
    ReportTemplate.objects.create(site=site, name="Normal chest", findings=["normal"], **text)
    ReportTemplate.objects.create(site=other_site, name="Elsewhere")
    (offered,) = json.loads(
        re.search(r'<script id="report-templates"[^>]*>(.*?)</script>', page_of(browser(owner), case))[1]
    )
    assert (offered["name"], offered["findings"]) == ("Normal chest", ["normal"])
    assert offered["comment"] == "Clear. Length: 50 px"
    assert offered["comparison"] == f"Unchanged since {study.study_date - timedelta(days=30):%Y-%m-%d}."


@pytest.mark.parametrize("findings", ['{"normal": 1}', "[3]", '"normal"'])
def test_the_admin_site_refuses_a_template_whose_findings_are_no_list(person, browser, site, findings):
    root = browser(person("root", is_staff=True, is_superuser=True))
    fields = {
        "site": site.pk,
        "name": "Normal",
        "impression": "Clear.",
        "comparison": "",
        "findings": findings,
    }
    address = reverse("admin:labels_reporttemplate_add")
    assert "Enter a list of codes" in root.post(address, fields).content.decode()
    assert root.post(address, fields | {"findings": '["normal"]'}).status_code == 302
    assert ReportTemplate.objects.get().findings == ["normal"]
