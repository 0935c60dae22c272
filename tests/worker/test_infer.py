from __future__ import annotations

import shutil

import numpy as np
import pytest
from PIL import Image

from tests.factories import ModelVersionFactory, ScanFactory, make_active
from tests.worker.conftest import tiny_artifact
from webapp.analysis.models import Analysis, AnalysisCam, ShadowAnalysis
from webapp.analysis.services import analyses_queue
from webapp.analysis.shadow import shadows_queue
from webapp.core import storage
from webapp.registry.models import ModelVersion
from webapp.registry.selectors import artifact_path
from webapp.registry.services import model_register, models_install
from worker.jobs.infer import InferJob, ModelUnavailable, WarmModels, store
from worker.runner import LEASE, Unavailable

pytestmark = pytest.mark.django_db(transaction=True)


@pytest.fixture
def queued(model):
    """Makes `n` scans with working images and queued analyses."""

    def make(n: int, **fields) -> list[Analysis]:
        scans = [ScanFactory(**fields) for _ in range(n)]
        for seed, scan in enumerate(scans):
            path = storage.path_of(scan.working_name)
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.random.default_rng(seed).integers(0, 60_000, (80, 64), dtype=np.uint16)
            Image.fromarray(pixels).save(path)
        return sorted(analyses_queue(scans), key=lambda a: [s.pk for s in scans].index(a.scan_id))

    return make


def runner(job: InferJob | None = None) -> InferJob:
    job = job or InferJob()
    while job.step():
        pass
    return job


def states(analyses: list[Analysis]) -> list[tuple[str, str]]:
    return [(a.status, a.error_code) for a in map(lambda a: Analysis.objects.get(pk=a.pk), analyses)]


def test_every_queued_analysis_gets_its_result_and_its_maps(queued, settings):
    settings.HILUM_BATCH = 2
    analyses = queued(3)
    runner()
    assert states(analyses) == [("done", "")] * 3
    result = Analysis.objects.get(pk=analyses[0].pk)
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert set(result.stored_cam.cam["grids"]) == set(result.probabilities)


def test_a_candidate_in_the_shadow_waits_for_those_who_somebody_waits_for(queued, model):
    candidate = model_register(tiny_artifact(storage.root() / "candidate.safetensors", seed=1))
    ModelVersion.objects.filter(pk=candidate.pk).update(shadow=True)
    analyses = queued(3)
    shadows_queue([analysis.scan for analysis in analyses])
    storage.delete_file(analyses[2].scan.working_name)
    job = InferJob()
    assert job.step()
    assert states(analyses) == [("done", ""), ("done", ""), ("failed", "image_missing")]
    assert set(ShadowAnalysis.objects.values_list("status", flat=True)) == {"queued"}
    runner(job)
    shadows = ShadowAnalysis.objects.order_by("status")
    assert [(s.status, s.error_code) for s in shadows] == [("done", "")] * 2 + [("failed", "image_missing")]
    assert sum(shadows[0].probabilities.values()) == pytest.approx(1, abs=1e-5)
    assert AnalysisCam.objects.count() == 2, "no map of the candidate's is kept"


def test_an_image_that_cannot_be_read_fails_alone(queued):
    analyses = queued(3)
    storage.delete_file(analyses[1].scan.working_name)
    runner()
    assert states(analyses) == [("done", ""), ("failed", "image_missing"), ("done", "")]


def test_a_store_that_is_away_fails_neither_images_nor_models(queued, monkeypatch):
    analyses = queued(2)
    away = storage.root().rename(storage.root().with_name("away"))
    with pytest.raises(Unavailable):
        runner()
    away.rename(storage.root())
    assert states(analyses) == [("queued", "")] * 2
    assert Analysis.objects.filter(attempts=0).count() == 2
    runner()
    assert states(analyses) == [("done", "")] * 2


def test_a_damaged_model_fails_its_analyses_with_a_code_and_stays_unused(queued, model):
    analyses = queued(2)
    artifact_path(model).write_bytes(b"not what was registered")
    runner()
    assert states(analyses) == [("failed", "model_unavailable")] * 2


def test_a_second_run_does_nothing(queued):
    analyses = queued(1)
    job = runner()
    before = Analysis.objects.values().get(pk=analyses[0].pk)
    runner(job)
    assert Analysis.objects.values().get(pk=analyses[0].pk) == before


def test_an_attempt_that_lost_its_lease_stores_nothing(queued):
    queued(1)
    [late] = Analysis.objects.all().claim(lease=-LEASE)
    job = runner()
    done = Analysis.objects.values().get()
    job._predict([late], store)
    assert Analysis.objects.values().get() == done
    assert AnalysisCam.objects.count() == 1


def test_the_patients_age_reaches_the_model(queued, model):
    model.spec |= {"age_range": [18, 90]}
    path = tiny_artifact(storage.root() / "adults.safetensors", age_range=(18, 90))
    make_active(model_register(path))
    [child] = queued(1, metadata={"PatientAge": "004Y"})
    runner()
    child.refresh_from_db()
    assert (child.withheld, child.abstention) == (True, "out_of_population")


def test_models_stay_warm_and_the_longest_unused_one_goes(model, tmp_path):
    other = model_register(tiny_artifact(tmp_path / "other.safetensors", seed=1))
    models = WarmModels(keep=1)
    first = models.predictor(model)
    assert models.predictor(model) is first
    models.predictor(other)
    assert models.predictor(model) is not first


def test_active_models_are_loaded_before_the_first_scan_and_a_missing_one_stops_nothing(model):
    ModelVersionFactory(slot="ct")
    job = InferJob()
    job.prepare()
    assert list(job._models._predictors) == [model.sha256]


def input_check_that_sees(kind: str) -> dict:
    import torch

    from classifier.networks.input_check import KINDS, InputCheck

    state = InputCheck().state_dict()
    state["head.weight"].zero_()
    state["head.bias"].copy_(torch.tensor([9.0 if name == kind else 0.0 for name in KINDS]))
    state["farthest"].fill_(60_000.0)
    return state


def test_what_the_promotion_gate_stops_is_kept_withheld_with_its_reason(db, tmp_path):
    path = tiny_artifact(tmp_path / "gated.safetensors", input_check=input_check_that_sees("lateral"))
    models_install([path])
    scan = ScanFactory()
    working = storage.path_of(scan.working_name)
    working.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(0).integers(0, 60_000, (80, 64), dtype=np.uint16)).save(working)
    [analysis] = analyses_queue([scan])
    runner()
    result = Analysis.objects.get(pk=analysis.pk)
    assert (result.status, result.withheld, result.abstention) == ("done", True, "lateral_view")
    assert sum(result.probabilities.values()) == pytest.approx(1, abs=1e-5)


def test_a_model_with_a_promotion_gate_of_another_make_is_unavailable(db, tmp_path):
    import torch

    path = tiny_artifact(tmp_path / "odd.safetensors", input_check={"head.weight": torch.zeros(2, 2)})
    [(version, _)] = models_install([path])
    with pytest.raises(ModelUnavailable):
        WarmModels().predictor(version)


def test_a_model_without_its_file_is_unavailable(db):
    with pytest.raises(ModelUnavailable):
        WarmModels().predictor(ModelVersionFactory())


def test_the_day_and_burned_in_text_of_a_scan_are_passed_to_the_model(queued):
    (analysis,) = queued(1, notes={"burned_in": {"found": "suspected"}}, metadata={"StudyDate": "20010203"})
    runner()
    measures = Analysis.objects.get(pk=analysis.pk).measures
    assert (measures["dated"], measures["burned_in"]) == ("2001-02-03", True)


@pytest.mark.parametrize(
    "changed",
    [
        {"metadata": {"StudyDate": "20010203", "LongitudinalTemporalInformationModified": "MODIFIED"}},
        {"metadata": {"StudyDate": "20010203"}, "series__study__date_is_relative": True},
        {"metadata": {}, "series__study__study_date": None},
    ],
)
def test_a_date_that_is_changed_or_made_up_is_not_held_against_a_result(queued, changed):
    (analysis,) = queued(1, **changed)
    runner()
    assert "dated" not in Analysis.objects.get(pk=analysis.pk).measures


def test_the_engine_that_runs_a_model_is_stated_for_the_host(queued, model, settings, monkeypatch):
    monkeypatch.setattr("worker.jobs.infer.gethostname", lambda: "reading-room")
    queued(1)
    runner()
    (chosen,) = model.engines.all()
    assert (chosen.host, chosen.device, chosen.engine, chosen.precision) == (
        *("reading-room", "cpu"),
        *("pytorch", "fp32"),
    )
    assert chosen.gain is None
    queued(1)
    runner()
    assert model.engines.count() == 1


def test_a_damaged_engine_folder_does_not_stop_the_worker(queued, model, settings):
    """A file where the folder of exported networks belongs: PyTorch serves."""
    settings.HILUM_ENGINE = "onnxruntime"
    blocked = settings.HILUM_DATA / "engines"
    shutil.rmtree(blocked, ignore_errors=True)
    blocked.write_text("")
    try:
        analyses = queued(1)
        runner()
    finally:
        blocked.unlink()
    assert states(analyses) == [("done", "")]
    assert model.engines.get().engine == "pytorch"
