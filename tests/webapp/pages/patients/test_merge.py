"""Merging two patients and undoing it on the pages: permissions, display, records."""

from __future__ import annotations

from datetime import date

import pytest
from django.urls import reverse
from django.utils.html import escape

from tests import factories
from webapp.accounts.models import Role
from webapp.accounts.services import membership_set
from webapp.scans.models import PatientMerge, Scan

pytestmark = pytest.mark.django_db
WHY = "registered twice"


@pytest.fixture
def boss(person, site):
    return person("boss", role="admin", site=site)


@pytest.fixture
def twins(site, case):
    """The case's patient P-42 and Q-7, another record of hers with a scan."""
    born = date(1950, 2, 1)
    case.patient.birth_date = born
    case.patient.save()
    other = factories.PatientFactory(site=site, name="Doe^Jane", patient_id="Q-7", birth_date=born)
    factories.ScanFactory(site=site, patient=other)
    return case.patient, other


@pytest.fixture
def merged(twins, browser, boss):
    one, other = twins
    browser(boss).post(confirm(one, other), {"keep": str(other.pk), "reason": WHY})
    return PatientMerge.objects.get()


def text_of(response) -> str:
    return " ".join(response.content.decode().split())


def choose(patient) -> str:
    return f"/patients/{patient.pk}/merge/"


def confirm(one, other) -> str:
    return f"/patients/{one.pk}/merge/{other.pk}/"


def part(merge) -> str:
    return f"/merges/{merge.pk}/unmerge/"


def test_who_may_merge_is_asked_everywhere(twins, merged, browser, boss, owner, teammate, outsider):
    one, other = twins
    for address in (choose(other), confirm(one, other)):
        assert browser(boss).get(address, follow=True).status_code == 200
        for colleague in (owner, teammate):
            assert browser(colleague).get(address).status_code == 403
        assert browser(outsider).get(address).status_code == 404
    reported = {"keep": str(other.pk), "reason": WHY}
    for address in (choose(other), confirm(one, other), part(merged)):
        assert browser(owner).post(address, reported).status_code == 403
        assert browser(outsider).post(address, reported).status_code == 404
    assert browser(owner).post(part(merged)).status_code == 403, "before anything else is shown"
    merged.refresh_from_db()
    assert merged.unmerged_at is None


def test_the_administrator_of_another_site_finds_nothing(twins, merged, browser, person, other_site):
    one, other = twins
    foreign = browser(person("foreign", role="admin", site=other_site))
    for address in (choose(other), confirm(one, other)):
        assert foreign.get(address).status_code == foreign.post(address).status_code == 404
    assert foreign.post(part(merged), {"reason": WHY}).status_code == 404


def test_two_sites_of_one_administrator_are_never_merged(twins, browser, boss, other_site):
    membership_set(user=boss, site=other_site, role=Role.objects.get(name="admin"))
    theirs = factories.PatientFactory(site=other_site, patient_id="P-42")
    address = confirm(twins[0], theirs)
    assert browser(boss).get(address).status_code == 404
    assert browser(boss).post(address, {"keep": str(theirs.pk), "reason": WHY}).status_code == 404
    assert str(theirs.pk) not in text_of(browser(boss).post(choose(twins[0]), {"q": "P-42"}))


def test_the_other_patient_is_found_without_a_name_in_an_address(twins, browser, boss):
    one, other = twins
    found = browser(boss).post(choose(one), {"q": "Q-7"})
    assert f'href="{confirm(one, other)}"' in text_of(found)
    page = text_of(browser(boss).post(choose(one), {"q": "nobody"}))
    assert "No other patient at this site" in page


def test_both_sides_are_shown_before_anything_is_done(twins, browser, boss):
    one, other = twins
    other.sex = one.sex = "F"
    one.sex = "M"
    one.save()
    other.save()
    page = text_of(browser(boss).get(confirm(one, other)))
    for words in ("P-42", "Q-7", "DOE, Jane", "Doe, Jane", "1950-02-01", "male", "female"):
        assert words in page
    assert page.count('class="differs"') == 1, "the sex; a name's case does not matter"
    assert f'value="{other.pk}" checked' in page
    left, right = page.split('class="merge-images"')[1:]
    for shown, patient in ((left, one), (right, other)):
        scan = Scan.objects.get(series__study__patient=patient)
        assert f'src="{reverse("pages:media", args=[scan.pk, "preview"])}"' in shown
    assert not PatientMerge.objects.exists()


@pytest.mark.parametrize("stays", [0, 1])
def test_either_of_the_two_may_stay(twins, browser, boss, stays):
    kept, gone = twins[stays], twins[1 - stays]
    reply = browser(boss).post(confirm(*twins), {"keep": str(kept.pk), "reason": WHY})
    assert reply.url == f"/patients/{kept.pk}/"
    merge = PatientMerge.objects.get()
    assert (merge.source, merge.target, merge.actor, merge.reason) == (gone, kept, boss, WHY)


def test_without_a_reason_or_a_choice_nothing_is_merged_and_the_page_states_so(twins, browser, boss):
    address = confirm(*twins)
    reply = browser(boss).post(address, {"keep": str(twins[0].pk), "reason": "  "})
    assert reply.status_code == 400
    assert "Enter a reason for the merge." in text_of(reply)
    assert f'value="{twins[0].pk}" checked' in text_of(reply)
    reply = browser(boss).post(address, {"keep": "nobody", "reason": WHY})
    assert "Select the name and ID to keep." in text_of(reply)
    assert WHY in text_of(reply)
    assert not PatientMerge.objects.exists()


def test_the_old_page_leads_to_the_new_one_which_reports_what_happened(twins, merged, browser, owner):
    one, other = twins
    reply = browser(owner).get(f"/patients/{one.pk}/", follow=True)
    assert reply.redirect_chain == [(f"/patients/{other.pk}/", 302)]
    page = text_of(reply)
    assert "was merged into this one" in page
    assert "P-42 (DOE, Jane) was merged into Q-7 (Doe, Jane), with 1 image" in page
    assert f"boss: {WHY}" in page
    assert "Undo merge" not in page, "a clinician sees the trace and cannot undo it"


def test_the_worklist_finds_the_patient_by_the_old_identifier(twins, merged, browser, owner, case):
    client = browser(owner)
    client.post("/", {"q": "P-42"})
    page = text_of(client.get("/"))
    assert f"/scans/{case.scan.pk}/" in page
    assert "Q-7" in page


def test_the_scan_shows_the_history_of_both(twins, merged, browser, owner, case):
    page = text_of(browser(owner).get(f"/scans/{case.scan.pk}/"))
    assert page.count('class="prior"') == 2


def test_a_unmerging_needs_a_reason_and_leaves_its_trace(twins, merged, browser, boss):
    one, other = twins
    client = browser(boss)
    assert "Undo merge" in text_of(client.get(f"/patients/{other.pk}/"))
    refused = client.post(part(merged), {"reason": " "}, follow=True)
    assert "Merge not undone: enter a reason." in text_of(refused)
    page = text_of(client.post(part(merged), {"reason": "twins indeed"}, follow=True))
    assert "Merge undone" in page
    assert "The merge of P-42 (DOE, Jane) into Q-7 (Doe, Jane) was undone" in page
    assert "boss: twins indeed" in page
    assert f"boss: {WHY}" in page
    assert "Undo merge" not in page
    assert client.get(f"/patients/{one.pk}/").status_code == 200


def test_whoever_may_be_the_same_is_named_to_who_may_merge_and_never_merged(
    twins, site, browser, boss, owner
):
    one, other = twins
    other_issuer = factories.PatientFactory(site=site, patient_id="p-42", issuer="ELSEWHERE", name="ROE^X")
    namesake = factories.PatientFactory(site=site, name="DOE^JANE", birth_date=date(1951, 2, 1))
    page = text_of(browser(boss).get(f"/patients/{one.pk}/"))
    assert f'href="{confirm(one, other)}"' in page
    assert "same name and birth date" in page
    assert f'href="{confirm(one, other_issuer)}"' in page
    assert "issued by ELSEWHERE · same ID" in page
    assert str(namesake.pk) not in page
    assert "Possible duplicates" not in text_of(browser(owner).get(f"/patients/{one.pk}/"))
    assert not PatientMerge.objects.exists()


def test_what_the_merged_record_held_goes_on_being_shown(twins, merged, browser, boss):
    one, other = twins
    page = text_of(browser(boss).get(f"/patients/{other.pk}/"))
    assert "Two different" not in page
    type(one).objects.filter(pk=one.pk).update(sex="F", birth_date=date(1951, 2, 1))
    page = text_of(browser(boss).get(f"/patients/{other.pk}/"))
    assert "2 different birth dates" in page
    assert '<b>1951-02-01</b> <span class="quiet">in the record of P-42 (DOE, Jane)' in page
    assert "2 different values for sex" not in page
    browser(boss).post(part(merged), {"reason": "twins"})
    assert "Two different" not in text_of(browser(boss).get(f"/patients/{other.pk}/"))


def test_who_was_merged_is_no_candidate_any_more(twins, merged, browser, boss):
    assert "Possible duplicates" not in text_of(browser(boss).get(f"/patients/{twins[1].pk}/"))


def test_two_who_are_one_already_are_stated_to_be(twins, merged, browser, boss):
    one, other = twins
    assert browser(boss).get(confirm(one, other)).url == f"/patients/{other.pk}/"


def test_a_merged_patient_stands_for_who_they_are_now(twins, merged, site, browser, boss):
    third = factories.PatientFactory(site=site)
    assert browser(boss).get(confirm(third, twins[0])).url == confirm(third, twins[1])


def test_a_patient_who_nobody_named_cannot_stay(twins, site, browser, boss):
    unnamed = factories.PatientFactory(site=site, provisional=True, patient_id="unassigned-9", name="")
    page = text_of(browser(boss).get(confirm(unnamed, twins[0])))
    assert "no ID" in page
    assert "unassigned-9" not in page
    assert str(unnamed.pk) not in text_of(browser(boss).post(choose(twins[0]), {"q": "unassigned"}))


def test_a_patient_with_many_scans_merges_and_a_long_trace_cost_a_bounded_number_of_queries(
    twins, site, browser, boss, django_assert_max_num_queries
):
    _, other = twins
    for index in range(6):
        more = factories.PatientFactory(site=site, patient_id=f"M{index}")
        factories.ScanFactory(site=site, patient=more, metadata={"PatientSex": "FM"[index % 2]})
        browser(boss).post(confirm(more, other), {"keep": str(other.pk), "reason": WHY})
    client = browser(boss)
    with django_assert_max_num_queries(17):
        page = text_of(client.get(f"/patients/{other.pk}/"))
    assert page.count("was merged into") == 6
    assert "2 different values for sex" in page
    with django_assert_max_num_queries(17):
        client.get(choose(other))
    with django_assert_max_num_queries(19):  # two of them for the newest images of each patient
        client.get(confirm(other, twins[0]))


def test_names_are_escaped(twins, site, browser, boss):
    other = factories.PatientFactory(site=site, name="<b>X", patient_id="<i>")
    page = text_of(browser(boss).get(confirm(twins[0], other)))
    assert "<b>X" not in page
    assert escape("<b>X") in page
