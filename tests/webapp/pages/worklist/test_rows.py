"""What sets the rows of the worklist apart, its paging, columns and order, and the acts on what waits."""

from __future__ import annotations

import json
import re
from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests import factories
from tests.webapp.pages.conftest import renew
from webapp.accounts.preferences import set_preference
from webapp.labels.readings import reading_sign
from webapp.pages.worklist import views

pytestmark = pytest.mark.django_db


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def row_of(page: str, study) -> str:
    return re.search(rf'<tr id="study-{study.pk}".*?</tr>', page)[0]


@pytest.fixture
def anonymous(site, finished_analysis):
    """Two studies without a patient ID or a date."""
    made = []
    for name, size in (("frontal_07.png", 1_500_000), ("img_8812.jpg", 300_000)):
        scan = factories.ScanFactory(
            site=site,
            upload__filename=name,
            upload__size=size,
            patient__provisional=True,
            patient__patient_id=f"unassigned-{name}",
            patient__name="",
            series__study__study_date=None,
        )
        finished_analysis(scan, normal=0.9)
        made.append(scan)
    return made


def test_rows_without_a_patient_are_distinguishable_by_file_time_and_size(anonymous, browser, owner):
    page = text_of(browser(owner).get("/"))
    first, second = (row_of(page, scan.study) for scan in anonymous)
    assert "frontal_07.png" in first
    assert "1.4 MB" in first
    assert f"{timezone.localtime(anonymous[0].received_at):%Y-%m-%d}" in first
    assert "img_8812.jpg" in second
    assert "New patient" not in page


def test_a_made_up_date_is_marked_as_relative(case, browser, owner):
    study = case.scan.study
    assert ">relative<" not in text_of(browser(owner).get("/"))
    type(study).objects.filter(pk=study.pk).update(date_is_relative=True)
    assert ">relative<" in row_of(text_of(browser(owner).get("/")), study)
    assert "(relative)" in text_of(browser(owner).get(reverse("pages:scan", args=[case.scan.pk])))
    assert "(relative)" in text_of(browser(owner).get(reverse("pages:report", args=[case.scan.pk])))


def test_the_tag_of_a_simulated_patient_stands_outside_of_the_part_that_is_cut(case, browser, owner):
    type(case.scan).objects.filter(pk=case.scan.pk).update(synthetic=True)
    renew(case.scan)
    row = row_of(text_of(browser(owner).get("/")), case.scan.study)
    assert re.search(r'</span><span class="tag">simulated</span></div>', row)


def test_read_and_unread_rows_are_distinguishable(case, browser, owner):
    assert 'class="unread"' in row_of(text_of(browser(owner).get("/")), case.scan.study)
    reading_sign(study=case.scan.study, actor=owner, findings=["normal"], comment="")
    row = row_of(text_of(browser(owner).get("/")), case.scan.study)
    assert 'class="read"' in row
    assert ". Read</span>" in row


def test_the_bar_has_the_threshold_of_its_finding(case, browser, owner):
    assert '<rect class="tick" x="55.0"' in row_of(text_of(browser(owner).get("/")), case.scan.study)


def test_unread_is_a_filter_in_the_first_line(case, browser, owner):
    client = browser(owner)
    page = text_of(client.get("/"))
    assert page.index('name="unread"') < page.index("More filters")
    assert "DOE, Jane" in text_of(client.post("/", {"unread": "1"}, follow=True))
    reading_sign(study=case.scan.study, actor=owner, findings=["normal"], comment="")
    assert "No matching studies" in text_of(client.get("/"))


def test_an_earlier_view_for_what_is_not_read_still_is_one(browser, owner, case):
    assert browser(owner).post("/", {"reader": "nobody"}, follow=True).context["search"].unread == "1"


@pytest.fixture
def five(site, finished_analysis, monkeypatch):
    monkeypatch.setattr(views, "ROWS_A_PAGE", 2)
    now = timezone.now()
    scans = [factories.ScanFactory(site=site, received_at=now - timedelta(hours=hours)) for hours in range(5)]
    for scan in scans:
        finished_analysis(scan, normal=0.9)
    return [scan.study.pk for scan in scans]


@pytest.mark.parametrize("searched", ["", "DOE"])
def test_every_page_leads_back_to_the_one_before(five, browser, owner, searched):
    client = browser(owner)
    client.post("/", {"q": searched})

    def studies(reply):
        return [row["study_id"] for row in reply.context["rows"]]

    first = client.get("/")
    assert first.context["page"].before is None
    second = client.get("/", {"after": first.context["page"].after})
    third = client.get("/", {"after": second.context["page"].after})
    assert studies(first) + studies(second) + studies(third) == five
    assert 'rel="prev"' in text_of(third)
    back = client.get("/", {"before": third.context["page"].before})
    assert studies(back) == studies(second)
    start = client.get("/", {"before": back.context["page"].before})
    assert (studies(start), start.context["page"].before) == (studies(first), None)


def test_a_previous_page_that_has_become_short_is_the_first_page(five, browser, owner):
    reply = browser(owner).get("/", {"before": str(five[1])})
    assert [row["study_id"] for row in reply.context["rows"]] == five[:2]
    assert reply.context["page"].before is None


def test_columns_and_density_are_the_persons_own(case, browser, owner, teammate):
    set_preference(user=owner, key="worklist_columns", value=["accession", "finding", "no such column"])
    set_preference(user=owner, key="worklist_density", value="compact")
    mine, theirs = text_of(browser(owner).get("/")), text_of(browser(teammate).get("/"))
    head = re.search("<thead>.*?</thead>", mine)[0]
    assert "Accession number" in head
    assert head.index("Accession number") < head.index("Finding")
    assert "Uncertainty" not in head
    assert "worklist compact" in mine
    assert "worklist compact" not in theirs


def test_a_header_sorts_and_keeps_the_filters(case, browser, owner):
    client = browser(owner)
    client.post("/", {"finding": "pneumonia"})
    client.post(reverse("pages:worklist_sort"), {"sort": "newest"})
    assert 'name="sort" value="oldest"' in text_of(client.get("/"))
    page = client.post(reverse("pages:worklist_sort"), {"sort": "oldest"}, follow=True)
    assert (page.context["search"].finding, page.context["search"].sort) == ("pneumonia", "oldest")
    assert 'aria-sort="ascending"' in text_of(page)


@pytest.mark.parametrize(
    ("posted", "seen"),
    [
        ({"action": "urgent"}, '<span class="urgent"'),
        ({"action": "assign", "reader": "me"}, "1 study assigned."),
        ({"action": "tag", "tag": "teaching"}, "1 study tagged."),
        ({"action": "tag", "tag": "x" * 40}, "“" + "x" * 40 + "” is not a tag."),
        (
            {"action": "assign", "reader": "00000000-0000-0000-0000-000000000000"},
            "This reader does not exist.",
        ),
    ],
)
def test_selected_studies_are_flagged_assigned_and_tagged(case, browser, owner, posted, seen):
    body = {"study": str(case.scan.study.pk)} | posted
    assert seen in text_of(browser(owner).post("/worklist/bulk/", body, follow=True))


def test_what_waits_is_counted_and_the_newest_urgent_one_named_without_patient_data(case, browser, owner):
    client, address = browser(owner), reverse("pages:worklist_waiting")
    assert client.get(address).json() == {"unread": 1, "more": False, "urgent": None}
    client.post("/worklist/bulk/", {"study": str(case.scan.study.pk), "action": "urgent"})
    urgent = client.get(address).json()["urgent"]
    assert urgent["href"] == reverse("pages:study", args=[case.scan.study.pk])
    assert "DOE" not in json.dumps(urgent)
    reading_sign(study=case.scan.study, actor=owner, findings=["normal"], comment="")
    assert client.get(address).json() == {"unread": 0, "more": False, "urgent": None}


def test_the_urgency_rule_is_set_on_its_page_and_quotes_a_wrong_value(case, browser, owner, person, site):
    chief, address = browser(person("chief", role="admin", site=site)), reverse("pages:worklist_urgency")
    page = text_of(chief.post(address, {"at_least-pneumonia": "0,8"}, follow=True))
    assert 'name="at_least-pneumonia" value="0.8"' in page
    assert '<span class="urgent"' in text_of(chief.get("/"))
    assert "“very” is not a probability." in text_of(
        chief.post(address, {"at_least-pneumonia": "very"}, follow=True)
    )
    assert "<td>0.8</td>" in text_of(browser(owner).get(address))
    assert browser(owner).post(address, {"at_least-pneumonia": "0.1"}).status_code == 403
