"""The monitoring page in a browser: with too few cases, with an alarm, and what an admin does about it."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from tests.flows.conftest import ROOT
from tests.flows.test_wcag import sign_in

pytestmark = [pytest.mark.browser, pytest.mark.slow, pytest.mark.timeout(600)]

SEED = """
import django
django.setup()
from datetime import timedelta
from django.utils import timezone
from tests import factories
from webapp.accounts.models import Site
from webapp.monitoring.kinds import Signal
from webapp.registry.models import ModelVersion
from worker.jobs.monitor import watch
from worker.jobs.monitor_summary import summarise
site = Site.objects.get(slug="demo")
version = ModelVersion.objects.get(slot="cxr", status="active")
factories.PatientFactory.reset_sequence(500_000)  # apart from what other flows have uploaded
factories.FINDINGS = version.model_spec.findings
start = timezone.now() - timedelta(days=60)
for shift, count, days in ((0.0, 150, 0), (2.5, 60, 30)):
    factories.finished_analyses(site, version, count, seed=days, shift=shift, at=start + timedelta(days=days),
                      every=timedelta(hours=4), patients=20, manufacturer="Acme", view="PA", sex="F")
before = timezone.now() - timedelta(days=3)
factories.finished_analyses(site, version, 4, seed=5, at=before, manufacturer="Umbra")
watch(site, version, Signal.PIXELS)
summarise(site, [version])
"""


@pytest.fixture
def processed(hilum):
    """Makes 214 results at the demo site, of which the last 64 images but four have changed."""

    def make() -> None:
        inherited = {k: v for k, v in os.environ.items() if not k.startswith(("HILUM_", "DJANGO_"))}
        environment = inherited | {
            "HILUM_ENV": "demo",
            "HILUM_DATA": str(hilum.data),
            "HILUM_DRIFT_BASELINE": "100",
            "DJANGO_SETTINGS_MODULE": "webapp.settings",
            "PYTHONPATH": str(ROOT),
        }
        subprocess.run([sys.executable, "-c", SEED], cwd=ROOT, env=environment, check=True, timeout=300)

    return make


def test_an_admin_sees_what_has_changed_and_closes_the_alarm(page, hilum, processed, complaints):
    page.get_by_role("link", name="Monitoring").click()
    assert page.get_by_role("heading", name="Collecting baseline (").is_visible()
    found = complaints(page, "monitoring without cases")

    processed()
    page.reload()
    alarm = page.get_by_role("link", name="Pixel drift detected").first
    assert alarm.is_visible()
    assert page.get_by_text("not acknowledged").is_visible()
    assert page.locator("tr.alarmed polyline").count() == 1
    assert page.get_by_text("too few results").first.is_visible()
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    found += complaints(page, "monitoring with an alarm")
    alarm.click()
    assert page.get_by_role("button", name="Acknowledge").count() == 0  # a clinician reads it only
    address = page.url

    page.context.clear_cookies()
    sign_in(page, "admin")
    page.goto(address)
    page.get_by_label("Comment (optional, no patient data)").fill("I ask radiology.")
    page.get_by_role("button", name="Acknowledge").click()
    assert page.get_by_text("I ask radiology.").is_visible()
    found += complaints(page, "alarm")
    page.get_by_label("Change accepted").check()
    page.get_by_label("Reason (no patient data)").fill("The new detector stays.")
    page.get_by_role("button", name="Close alarm").click()
    assert page.get_by_text("change accepted").is_visible()
    page.goto("/monitoring/")
    assert page.locator("section.verdict.wrong").count() == 0
    assert not found, "\n".join(found)
