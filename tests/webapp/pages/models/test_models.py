from __future__ import annotations

from datetime import timedelta

import pytest
from django.urls import reverse
from django.utils import timezone

from tests import factories
from webapp.accounts.models import Membership
from webapp.analysis.selectors import promotion_reach
from webapp.pages.models.card import sections
from webapp.registry.models import ModelStatus
from webapp.registry.services import engine_chosen, model_register

pytestmark = pytest.mark.django_db


def test_every_slot_lists_its_versions_and_an_empty_one_states_what_that_means(model, browser, owner):
    page = browser(owner).get("/models/").content.decode()
    assert str(model) in page
    assert model.sha256[:12] in page
    assert "CT slices" in page
    assert "Scans of this type are stored" in page


def test_a_model_shows_its_card_thresholds_and_hash(model, browser, owner):
    page = browser(owner).get(reverse("pages:model", args=[model.pk])).content.decode()
    assert "eight X-rays" in page
    assert "0.55" in page
    assert model.sha256 in page


def test_only_who_may_promote_is_offered_it_and_may_do_it(browser, owner, person, site, tmp_path):
    version = model_register(factories.artifact(tmp_path / "new.safetensors", seed=7))
    where = reverse("pages:model_promote", args=[version.pk])
    clinician, admin = browser(owner), browser(person("boss", role="admin", site=site))
    shown = reverse("pages:model", args=[version.pk])
    assert where not in clinician.get(shown).content.decode()
    assert clinician.post(where, {"reason": "because"}).status_code == 403
    page = " ".join(admin.get(shown).content.decode().split())
    assert where in page
    assert "changes the model for all sites of this installation, not only for yours" in page
    reported = admin.post(where, {"reason": ""}, follow=True)
    assert "A reason is required" in reported.content.decode()
    done = admin.post(where, {"reason": "better on our own cases"}, follow=True).content.decode()
    version.refresh_from_db()
    assert version.status == ModelStatus.ACTIVE
    assert "is now the active model" in done
    assert "better on our own cases" in done


def test_a_promotion_states_in_numbers_who_is_affected(site, other_site, owner, outsider):
    long_ago = timezone.now() - timedelta(days=31)
    factories.AnalysisFactory(scan__site=site, scan__slot="cxr")
    factories.ScanFactory(site=other_site, slot="cxr")
    factories.ScanFactory(site=site, slot="cxr", received_at=long_ago)
    factories.ScanFactory(site=site, slot="ct")
    reach = promotion_reach("cxr")
    people = Membership.objects.values("user").distinct().count()
    assert (reach.sites, reach.people) == (2, people)
    assert (reach.recent_scans, reach.waiting_scans) == (2, 2)


def test_an_outsider_to_the_site_cannot_promote_its_model(browser, person, other_site, site):
    version = factories.ModelVersionFactory(site=site, status=ModelStatus.CANDIDATE)
    admin = browser(person("far", role="admin", site=other_site))
    assert admin.post(reverse("pages:model_promote", args=[version.pk]), {"reason": "x"}).status_code == 404


def test_many_versions_cost_as_many_queries_as_one(
    model, browser, owner, django_assert_num_queries, django_assert_max_num_queries
):
    client = browser(owner)
    with django_assert_max_num_queries(6) as few:
        client.get("/models/")
    factories.ModelVersionFactory.create_batch(5, status=ModelStatus.CANDIDATE)
    with django_assert_num_queries(len(few)):
        client.get("/models/")


def test_a_card_becomes_facts_sentences_and_tables():
    facts, metrics, overall, confusion, limits = sections(
        {
            "licence": "research",
            "metrics": {
                "covid19": {"auc": {"value": 0.714, "low": 0.64, "high": 0.78}, "n": 1190},
                "normal": {"auc": 0.83},
            },
            "overall": {"accuracy": {"value": 0.4, "low": 0.3, "high": 0.5}, "cases": 120},
            "confusion": [[35, 2], [5, 16]],
            "limits": ["No lateral views. " * 3, "Adults only."],
        }
    )
    assert facts.facts == [("Licence", "research")]
    assert metrics.head == ["", "AUC", "N"]
    assert metrics.rows == [["COVID-19", "0.71 (0.64 to 0.78)", "1,190"], ["Normal", "0.83", ""]]
    assert overall.facts == [("Accuracy", "0.40 (0.30 to 0.50)"), ("Cases", "120")]
    assert confusion.rows == [["35", "2"], ["5", "16"]]
    assert limits.text[1] == "Adults only."


def test_a_card_of_any_shape_is_shown(browser, owner):
    odd = {"a": None, "b": [], "c": {"d": {"e": [1, {"f": "<script>"}]}}, "g": [{"h": 1}, {"i": True}]}
    version = factories.ModelVersionFactory(card=odd)
    response = browser(owner).get(reverse("pages:model", args=[version.pk]))
    assert response.status_code == 200
    assert b"&lt;script&gt;" in response.content


def test_the_page_of_a_model_states_what_runs_it(browser, owner):
    version = factories.ModelVersionFactory(status=ModelStatus.CANDIDATE)
    rows = [("onnxruntime", 20.0, 45.0), ("pytorch", 10.0, 10.0)]
    choice = {
        "engine": "onnxruntime",
        "precision": "fp32",
        "candidates": [
            {"engine": engine, "precision": "fp32", "alone": alone, "batched": batched, "refused": ""}
            for engine, alone, batched in rows
        ],
    }
    engine_chosen(version=version, host="gpu-2", device="cpu", choice=choice)
    page = browser(owner).get(reverse("pages:model", args=[version.pk])).content.decode()
    assert "ONNX Runtime fp32, 3.0 times as fast as PyTorch" in page
    assert "gpu-2" in page
