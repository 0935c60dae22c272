"""What an abstention withholds is shown to a reader who asks for it knowingly, and to nobody else."""

from __future__ import annotations

import pytest

from tests import factories
from webapp.audit.models import AuditEvent

pytestmark = pytest.mark.django_db


@pytest.fixture
def withheld(finished_analysis, site):
    scan = factories.ScanFactory(site=site)
    finished_analysis(scan, abstention="lateral_view", pneumonia=0.77)
    return scan


def page_of(client, scan) -> str:
    return " ".join(client.get(f"/scans/{scan.pk}/").content.decode().split())


def test_withheld_numbers_are_not_in_the_page_at_all(withheld, browser, owner):
    page = page_of(browser(owner), withheld)
    assert "0.77" not in page
    assert "robabilities withheld" in page
    assert "under your name" in page


def test_a_reader_may_look_and_the_trail_states_so(withheld, browser, owner, teammate):
    client, colleague = browser(owner), browser(teammate)
    assert client.post(f"/scans/{withheld.pk}/reveal/").status_code == 302
    page = page_of(client, withheld)
    assert "0.77" in page
    assert "Withheld probabilities, shown at your request" in page
    assert "No result: this looks like a lateral view." in page
    assert "0.77" in client.get(f"/scans/{withheld.pk}/state/").content.decode()
    assert "0.77" not in page_of(colleague, withheld)
    event = AuditEvent.objects.get(action="analysis.revealed")
    analysis = withheld.analyses.get()
    assert (event.actor, event.site, event.subject) == (
        owner,
        withheld.site,
        f"analysis.analysis:{analysis.pk}",
    )
    assert event.detail == {"reason": "lateral_view", "scan": str(withheld.pk)}


def test_signing_in_again_hides_them_again(withheld, browser, owner):
    client = browser(owner)
    client.post(f"/scans/{withheld.pk}/reveal/")
    client.logout()
    client.force_login(owner)
    assert "0.77" not in page_of(client, withheld)


def test_an_outsider_reveals_nothing(withheld, browser, outsider):
    assert browser(outsider).post(f"/scans/{withheld.pk}/reveal/").status_code == 404
    assert not AuditEvent.objects.filter(action="analysis.revealed").exists()


def test_where_nothing_is_withheld_nothing_is_revealed(case, browser, owner, site):
    client, waiting = browser(owner), factories.ScanFactory(site=site, slot="ct")
    for scan in (case.scan, waiting):
        assert client.post(f"/scans/{scan.pk}/reveal/").status_code == 409
    assert client.get(f"/scans/{case.scan.pk}/reveal/").status_code == 405
    assert not AuditEvent.objects.filter(action="analysis.revealed").exists()
