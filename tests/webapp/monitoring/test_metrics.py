"""`/metrics` reports Prometheus of queues and alarms, and nobody else of anything."""

from __future__ import annotations

import re

import pytest
from django.core.management import call_command
from django.core.management.base import SystemCheckError

from tests import factories
from webapp.registry.services import engine_chosen

pytestmark = pytest.mark.django_db
TOKEN = "a-token-of-twenty-four-and-more"


def lines(finished_analysis) -> dict[str, float]:
    reported = [line for line in finished_analysis.content.decode().splitlines() if not line.startswith("#")]
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in reported)}


def test_it_does_not_exist_unless_somebody_is_named(client, owner, settings):
    assert client.get("/metrics").status_code == 404
    assert client.get("/metrics", headers={"authorization": "Bearer "}).status_code == 404
    client.force_login(owner)
    assert client.get("/metrics").status_code == 404
    settings.HILUM_METRICS_TOKEN = TOKEN
    assert client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}x"}).status_code == 404
    settings.HILUM_METRICS_NETWORKS = ["10.0.0.0/8"]
    assert client.get("/metrics").status_code == client.post("/metrics").status_code == 404


@pytest.mark.parametrize("way", ["token", "network"])
def test_who_is_named_reads_it(client, settings, way):
    if way == "token":
        settings.HILUM_METRICS_TOKEN = TOKEN
    else:
        settings.HILUM_METRICS_NETWORKS = ["127.0.0.0/8"]
    response = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    assert response.status_code == 200
    assert response["Content-Type"].startswith("text/plain; version=")


def test_it_reports_of_alarms_queues_and_counts_and_of_no_patient(client, settings, alarm, site, version):
    settings.HILUM_METRICS_TOKEN = TOKEN
    factories.AnalysisFactory(model_version=version, scan__patient__name="DOE^Jane", scan__site=site)
    factories.UploadFactory(site=site)
    response = client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"})
    reported = lines(response)
    assert reported['hilum_alarms{kind="pixels",site="st-anna",status="open"}'] == 1
    assert reported[f'hilum_drift_score{{kind="pixels",model="{version}",site="st-anna"}}'] == 250
    assert (
        reported['hilum_queue_waiting{queue="infer"}'] == reported['hilum_queue_waiting{queue="ingest"}'] == 1
    )
    assert (
        reported['hilum_queue_waiting{queue="train"}'] == reported['hilum_queue_running{queue="notify"}'] == 0
    )
    assert 0 <= reported['hilum_queue_oldest_seconds{queue="infer"}'] < 60
    assert reported[f'hilum_analyses{{model="{version}",status="done"}}'] == 40
    assert reported['hilum_uploads{site="st-anna",status="received"}'] == 1
    text = response.content.decode()
    assert "DOE" not in text
    assert "Jane" not in text
    form = re.compile(r'[a-z_]+(\{([a-z]+="[^"\n]*",?)*\})? [-0-9.e+]+')
    assert all(form.fullmatch(line) for line in text.splitlines() if not line.startswith("#"))


def test_a_token_that_can_be_guessed_and_a_network_that_is_none_stop_the_start(settings):
    settings.HILUM_METRICS_TOKEN = "short"
    settings.HILUM_METRICS_NETWORKS = ["ten"]
    with pytest.raises(SystemCheckError) as stopped:
        call_command("check")
    assert "hilum.E012" in str(stopped.value)
    assert "hilum.E013" in str(stopped.value)


def test_the_engine_of_each_host_is_reported(client, settings):
    settings.HILUM_METRICS_TOKEN = TOKEN
    version = factories.ModelVersionFactory()
    choice = {"engine": "openvino", "precision": "bf16", "candidates": []}
    engine_chosen(version=version, host="a", device="cpu", choice=choice)
    found = lines(client.get("/metrics", headers={"authorization": f"Bearer {TOKEN}"}))
    labels = f'engine="openvino",host="a",model="{version}",precision="bf16"'
    assert found[f"hilum_engine{{{labels}}}"] == 1.0
