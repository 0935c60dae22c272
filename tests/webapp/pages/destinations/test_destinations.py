"""The page on destinations: adding, testing, rules, dead letters, and who may."""

from __future__ import annotations

import pytest
from django.urls import reverse

from webapp.results.models import Destination, ResultDelivery, Rule

pytestmark = pytest.mark.django_db
FORM = {"name": "Archive", "kind": "stow", "url": "http://127.0.0.1:9/dicom-web"}


@pytest.fixture
def boss(browser, admin):
    return browser(admin)


def at(name: str, *keys) -> str:
    return reverse(f"pages:{name}", args=keys)


def test_an_admin_adds_a_destination_and_a_rule(boss):
    boss.post(at("destination_save"), FORM)
    added = Destination.objects.get()
    rule_form = {"when": "after_reading", "finding": ["pneumonia"], "object": ["result", "pdf"]}
    boss.post(at("result_rule_add", added.pk), rule_form)
    text = boss.get(at("destinations")).content.decode()
    assert "After a reading is signed · Pneumonia; no withheld results · AI result (SR), Report (PDF)" in text
    boss.post(at("result_rule_remove", Rule.objects.get().pk))
    boss.post(at("destination_remove", added.pk))
    assert "Archive" not in boss.get(at("destinations")).content.decode()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"kind": "fax"}, "Select a kind"),
        ({"name": ""}, "Enter a name"),
        ({"kind": "dicom", "host": "127.0.0.1", "port": "x", "called_ae": "A"}, "number from 1 to 65535"),
        ({"kind": "dicom", "host": "127.0.0.1", "called_ae": ""}, "AE title"),
        ({"url": "https://10.1.2.3/"}, "cannot be sent to this address"),
        ({"url": "x"}, "url"),
    ],
)
def test_the_problem_is_shown_and_nothing_is_saved(boss, wrong, message):
    response = boss.post(at("destination_save"), FORM | wrong, follow=True)
    assert message in response.content.decode()
    assert not Destination.objects.exists()


def test_a_dead_letter_is_seen_with_its_reason_and_sent_again(
    boss, pacs, destination, rule, finish, send_all
):
    rule(destination)
    finish()
    pacs.statuses = [0xC000]
    send_all()
    text = boss.get(at("destinations")).content.decode()
    assert "dicom_refused" in text
    assert "status 0xC000" in text
    boss.post(at("result_resend", ResultDelivery.objects.get().pk))
    send_all()
    assert "dicom_refused" not in boss.get(at("destination_log")).content.decode().partition("Latest")[0]
    assert len(pacs.datasets) == 1


def test_the_test_button_shows_whether_the_pacs_responds(boss, destination, send_all):
    boss.post(at("destination_test", destination.pk))
    send_all()
    assert "The PACS responded to C-ECHO." in boss.get(at("destination_log")).content.decode()


def test_a_disabled_destination_gets_what_waits_once_it_is_enabled(
    boss,
    pacs,
    destination,
    rule,
    finish,
    send_all,
):
    rule(destination)
    finish()
    boss.post(at("destination_switch", destination.pk))
    assert send_all() == 0
    boss.post(at("destination_switch", destination.pk))
    assert send_all() == 1
    assert len(pacs.datasets) == 1


def test_a_reader_sends_a_result_from_its_report(browser, owner, destination, rule, finish, send_all, pacs):
    scan = finish().scan
    reader = browser(owner)
    assert "Send result to" not in reader.get(at("report", scan.pk)).content.decode()
    rule(destination, when="on_request")
    assert "Send result to" in reader.get(at("report", scan.pk)).content.decode()
    reader.post(at("result_send", scan.pk), {"destination": destination.pk})
    send_all()
    assert len(pacs.datasets) == 1


def test_only_who_manages_results_sees_the_page(browser, owner, outsider, person, other_site, destination):
    assert browser(owner).get(at("destinations")).status_code == 403
    assert browser(owner).post(at("destination_test", destination.pk)).status_code == 403
    other_admin = browser(person("other_chief", role="admin", site=other_site))
    assert "PACS" not in other_admin.get(at("destinations")).content.decode()
    assert other_admin.post(at("destination_test", destination.pk)).status_code == 404
    assert browser(outsider).get(at("destinations")).status_code == 403
