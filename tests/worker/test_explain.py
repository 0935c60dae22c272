"""Explanations in the worker: made after the analyses, bounded in time, each failure with its code."""

from __future__ import annotations

import sys

import pytest

from classifier.contract import RELATIVE
from tests.factories import UserFactory
from tests.worker.test_infer import queued, runner  # noqa: F401 (a fixture)
from webapp.analysis.explanations import explanation_request
from webapp.analysis.models import Analysis, Explanation
from webapp.core import storage
from webapp.registry.selectors import artifact_path
from worker.jobs import explain
from worker.jobs.explain import InferAndExplainJob
from worker.runner import Unavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def analysis(queued) -> Analysis:  # noqa: F811
    queued(1)
    runner(InferAndExplainJob())
    return Analysis.objects.get()


def ask(analysis: Analysis, method: str = "layercam") -> None:
    explanation_request(analysis=analysis, method=method, actor=UserFactory())


def state() -> tuple[str, str]:
    explanation = Explanation.objects.get()
    return explanation.status, explanation.error_code


@pytest.mark.parametrize("method", RELATIVE)
def test_the_maps_that_were_asked_for_are_made(analysis, method):
    ask(analysis, method)
    runner(InferAndExplainJob())
    explanation = Explanation.objects.get()
    assert (explanation.status, explanation.cam["scale"]) == ("done", 1.0)
    assert set(explanation.cam["grids"]) == set(analysis.probabilities)
    assert explanation.cam["affine"] == analysis.stored_cam.cam["affine"]
    assert explanation.seconds > 0


def test_a_second_run_does_nothing(analysis):
    ask(analysis)
    job = runner(InferAndExplainJob())
    before = Explanation.objects.values().get()
    runner(job)
    assert Explanation.objects.values().get() == before


def test_analyses_come_first_and_pass_a_slow_explanation(analysis, queued):  # noqa: F811
    ask(analysis, "scorecam")
    queued(1)
    job = InferAndExplainJob()
    assert job.step()
    assert state()[0] == "queued", "the new scan was analysed before"
    seen = []
    processed = job._analyse

    def look(self):
        if not seen:
            queued(1)
        found = processed()
        seen.append((found, state()[0]))
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(explain.InferJob, "_analyse", look)
        job._explain_one()
    assert seen[0] == (True, "running"), "another one was analysed in the middle of it"
    assert state()[0] == "done"
    assert not Analysis.objects.exclude(status="done").exists()


def test_one_that_takes_too_long_ends_with_its_reason(analysis, monkeypatch):
    monkeypatch.setattr(explain, "SOFT_SECONDS", -1.0)
    ask(analysis, "scorecam")
    runner(InferAndExplainJob())
    assert state() == ("failed", "explainer_too_slow")


def test_an_image_that_is_gone_fails_it(analysis):
    storage.delete_file(analysis.scan.working_name)
    ask(analysis)
    runner(InferAndExplainJob())
    assert state() == ("failed", "image_missing")


def test_a_model_that_is_gone_fails_it(analysis):
    artifact_path(analysis.model_version).unlink()
    ask(analysis)
    runner(InferAndExplainJob())
    assert state() == ("failed", "model_unavailable")


def test_without_the_package_it_states_so(analysis, monkeypatch):
    monkeypatch.setitem(sys.modules, "classifier.inference.explainers", None)
    ask(analysis)
    runner(InferAndExplainJob())
    assert state() == ("failed", "explainer_missing")


def test_a_store_that_is_away_is_nobodys_attempt(analysis):
    ask(analysis)
    away = storage.root().rename(storage.root().with_name("away"))
    job = InferAndExplainJob()
    with pytest.raises(Unavailable):
        job.step()
    assert (state()[0], Explanation.objects.get().attempts) == ("queued", 0)
    away.rename(storage.root())
    runner(job)
    assert state()[0] == "done"


def test_no_memory_for_it_fails_it_alone(analysis, monkeypatch):
    import torch

    from classifier.inference import explain as maps

    def full(*details, **more):
        raise torch.OutOfMemoryError("no space left")

    monkeypatch.setattr(maps, "relative_grids", full)
    ask(analysis)
    runner(InferAndExplainJob())
    assert state() == ("failed", "out_of_memory")
