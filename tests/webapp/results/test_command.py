"""`create_destination`: a destination with one rule, and again with another address."""

from __future__ import annotations

import io

import pytest
from django.core.management import CommandError, call_command

from webapp.results.models import Destination

pytestmark = pytest.mark.django_db


def run(*arguments: str) -> str:
    out = io.StringIO()
    call_command("create_destination", *arguments, stdout=out)
    return out.getvalue()


def test_it_makes_a_destination_with_a_rule_and_replaces_both(site, admin):
    pacs = ("st-anna", "PACS", "dicom")
    assert "ORTHANC@127.0.0.1:4242" in run(*pacs, "127.0.0.1:4242", "--called-ae", "ORTHANC")
    run(*pacs, "127.0.0.1:104", "--called-ae", "OTHER", "--object", "pdf", "--when", "after_reading")
    destination = Destination.objects.get()
    assert (destination.port, destination.called_ae) == (104, "OTHER")
    rule = destination.rules.get()
    assert (rule.when, rule.kinds, rule.created_by) == ("after_reading", ["pdf"], admin)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dicom", "127.0.0.1", "--called-ae", "A"), "HOST:PORT"),
        (("dicom", "127.0.0.1:104"), "AE title"),
        (("stow", "https://10.1.2.3/"), "HILUM_WEBHOOK_NETWORKS"),
    ],
)
def test_it_states_what_is_wrong(site, admin, arguments, message):
    with pytest.raises(CommandError, match=message):
        run("st-anna", "PACS", *arguments)
    assert not Destination.objects.exists()
