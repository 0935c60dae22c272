"""The predictor returns every item in its place, whatever its neighbours are like."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.artifact.weights import Artifact, load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot, reported
from classifier.inference import predictor as predictors
from classifier.inference.predictor import Failure, Input, Predictor, Result
from classifier.networks.feature_measures import FeatureMeasures
from classifier.networks.preprocess import moved, percentiles, to_input
from classifier.networks.registry import network_for, probabilities_of
from classifier.reasons import AbstentionReason
from classifier.result_warnings import SHIFT, Limit, WarningLimits

SPEC = ModelSpec(
    name="tiny",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    layers=(1, 1, 1, 1),
    width=8,
    size=64,
    temperature=1.7,
    thresholds={"normal": 0.1, "pneumonia": 0.1, "covid19": 0.1},
    cam_scale=2.5,
)


@pytest.fixture
def artifact(tmp_path: Path) -> Artifact:
    torch.manual_seed(0)
    network = network_for(SPEC).eval()
    torch.nn.init.normal_(network.fc.weight, std=0.2)
    save_artifact(tmp_path / "a", spec=SPEC, classifier_state=network.state_dict(), card={}, storage="fp32")
    return load_artifact(tmp_path / "a")


def decoded(seed: int, shape: tuple[int, int] = (90, 120)) -> Input:
    pixels = np.random.default_rng(seed).integers(0, 65536, shape, dtype=np.uint16)
    return Input(pixels, (shape[0] * 3, shape[1] * 2))


def vector(result: Result | Failure) -> np.ndarray:
    assert isinstance(result, Result), result
    return np.array([result.prediction.probabilities[finding] for finding in SPEC.findings])


def test_probabilities_are_those_of_the_network_at_the_specs_temperature(artifact):
    item = decoded(0)
    with torch.no_grad():
        logits = artifact.network(to_input(item.working, SPEC)[None])
    (result,) = Predictor(artifact).predict([item])
    np.testing.assert_allclose(vector(result), torch.softmax(logits / 1.7, dim=1)[0], atol=1e-6)
    assert result.prediction.finding == SPEC.findings[int(vector(result).argmax())]
    assert result.seconds > 0


def test_the_pooled_features_are_what_the_head_saw(artifact):
    (result,) = Predictor(artifact).predict([decoded(0)])
    with torch.no_grad():
        logits = artifact.network.fc(torch.from_numpy(result.pooled)).numpy() / 1.7
    expected = np.exp(logits) / np.exp(logits).sum()
    np.testing.assert_allclose(vector(result), expected, atol=1e-6)


def test_sigmoid_findings_are_independent(artifact):
    probabilities = probabilities_of(torch.tensor([[3.4, 0.0, 3.4]]), replace(SPEC, activation="sigmoid"))
    assert probabilities[0].tolist() == pytest.approx([0.8808, 0.5, 0.8808], abs=1e-4)


def test_a_batch_gives_what_single_items_give(artifact):
    predictor = Predictor(artifact, batch_size=3)
    items = [decoded(seed, (80 + seed, 100)) for seed in range(7)]
    together = predictor.predict(items)
    for item, result in zip(items, together, strict=True):
        np.testing.assert_allclose(vector(result), vector(predictor.predict([item])[0]), atol=1e-5)


def test_the_map_lies_on_the_original_image(artifact):
    (result,) = Predictor(artifact).predict([decoded(1, (90, 120))])
    grid = np.array(result.cam.grids["pneumonia"])
    rows, columns = grid.shape
    a, b, c, d, e, f = result.cam.affine
    assert result.cam.scale == 2.5
    assert (a * -0.5 + b * -0.5 + c, d * -0.5 + e * -0.5 + f) == pytest.approx((-0.5, -0.5))
    corner = (a * (columns - 0.5) + c, e * (rows - 0.5) + f)
    assert corner == pytest.approx((240 - 0.5, 270 - 0.5))


def test_an_item_that_is_no_image_fails_alone(artifact):
    bad = [np.zeros((0, 5), np.uint16), np.zeros((9, 9, 3), np.uint16), np.zeros((9, 9)), None]
    items = [decoded(0), *(Input(pixels, (9, 9)) for pixels in bad), decoded(1)]
    results = Predictor(artifact).predict(items)
    assert [result.code for result in results[1:-1]] == [predictors.BAD_IMAGE] * 4
    assert vector(results[0]).sum() == pytest.approx(1)
    assert vector(results[-1]).sum() == pytest.approx(1)


def poison(predictor: Predictor, monkeypatch, error: Exception, *, above: int = 0) -> list[int]:
    """Fail batches that hold a black image, or more images than `above`; logs the sizes of batches."""
    sizes, forward = [], predictor.forward

    def failing(batch: torch.Tensor):
        sizes.append(len(batch))
        if (above and len(batch) > above) or (not above and (batch.std(dim=(1, 2, 3)) == 0).any()):
            raise error
        return forward(batch)

    monkeypatch.setattr(predictor, "forward", failing)
    return sizes


def test_an_item_that_breaks_the_network_fails_alone(artifact, monkeypatch):
    predictor = Predictor(artifact)
    poison(predictor, monkeypatch, RuntimeError("no such kernel"))
    items = [decoded(seed) for seed in range(5)]
    items[3] = Input(np.zeros((70, 70), np.uint16), (70, 70))
    results = predictor.predict(items)
    assert [type(result) for result in results] == [Result, Result, Result, Failure, Result]
    assert results[3].code == predictors.INFERENCE_FAILED
    assert predictor.batch_size == 16


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory"),
        RuntimeError("DefaultCPUAllocator: can't allocate memory"),
    ],
)
def test_out_of_memory_halves_the_batch_for_good(artifact, monkeypatch, error):
    predictor = Predictor(artifact, batch_size=8)
    sizes = poison(predictor, monkeypatch, error, above=2)
    results = predictor.predict([decoded(seed) for seed in range(8)])
    assert all(isinstance(result, Result) for result in results)
    assert predictor.batch_size == 2
    sizes.clear()
    predictor.predict([decoded(seed) for seed in range(5)])
    assert sizes == [2, 2, 1]


def test_a_lost_device_is_not_blamed_on_the_images(artifact, monkeypatch):
    predictor = Predictor(artifact)
    poison(predictor, monkeypatch, torch.AcceleratorError("illegal memory access", 700), above=1)
    with pytest.raises(torch.AcceleratorError):
        predictor.predict([decoded(0), decoded(1)])


def test_the_reported_finding_follows_the_spec(artifact):
    strict = replace(artifact, spec=replace(SPEC, thresholds=dict.fromkeys(SPEC.findings, 1.0)))
    assert Predictor(strict).predict([decoded(0)])[0].prediction.finding is None
    adults = replace(artifact, spec=replace(SPEC, age_range=(18, 90)))
    child, adult = replace(decoded(0), age=4), replace(decoded(0), age=40)
    results = Predictor(adults).predict([child, adult])
    assert results[0].prediction.abstention is AbstentionReason.OUT_OF_POPULATION
    assert results[1].prediction.abstention is None


def test_reduced_precision_stays_within_a_hundredth(artifact, monkeypatch):
    monkeypatch.setattr(predictors, "reduced_dtype", lambda device: torch.bfloat16)
    exact = Predictor(replace(artifact)).predict([decoded(0)])
    predictor = Predictor(artifact, precision="auto")
    assert predictor.engine.precision == "bf16"
    difference = np.abs(vector(predictor.predict([decoded(0)])[0]) - vector(exact[0])).max()
    assert 0 < difference <= predictors.TOLERANCE


def test_a_model_that_suffers_from_reduced_precision_stays_exact(artifact, monkeypatch):
    monkeypatch.setattr(predictors, "reduced_dtype", lambda device: torch.bfloat16)
    monkeypatch.setattr(predictors, "TOLERANCE", 0.0)
    predictor = Predictor(artifact, precision="auto")
    assert predictor.engine.precision == "fp32"
    assert all(parameter.dtype is torch.float32 for parameter in predictor.network.parameters())


def test_an_unknown_precision_is_refused(artifact):
    with pytest.raises(ValueError, match="fp8"):
        Predictor(artifact, precision="fp8")


@pytest.mark.parametrize("shape", [(1, 1), (2, 3), (97, 101)])
def test_quick_percentiles_are_numpys(shape):
    image = np.random.default_rng(5).integers(0, 65536, shape, dtype=np.uint16)
    wanted = (0, 0.5, 33, 99.5, 100)
    np.testing.assert_allclose(percentiles(image, wanted), np.percentile(image, wanted))


@pytest.mark.gpu
def test_cuda_gives_the_cpus_numbers(artifact):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    items = [decoded(seed) for seed in range(3)]
    expected = [vector(result) for result in Predictor(artifact).predict(items)]
    for precision, tolerance in (("fp32", 1e-4), ("auto", 0.01)):
        found = Predictor(artifact, device="cuda", precision=precision).predict(items)
        np.testing.assert_allclose([vector(result) for result in found], expected, atol=tolerance)


LIMITS = WarningLimits(distance=Limit(1e-6), mirrored=Limit(0.5), not_before={"covid19": "2019-12-01"})


@pytest.fixture
def limited(artifact) -> Artifact:
    """The artifact with limits: the distance of every image is above its own."""
    channels = artifact.network.fc.in_features
    axes = np.random.default_rng(0).normal(size=(channels, 4))
    measures = FeatureMeasures(np.zeros(channels), axes, np.zeros((3, 4)), np.ones(channels), -1e6)
    state = {name: tensor.double().float() for name, tensor in measures.state().items()}
    return replace(artifact, spec=replace(SPEC, warning_limits=LIMITS), warning_limits=state)


def test_measures_come_with_the_result_and_make_its_warnings(limited):
    item = replace(decoded(0), dated="2001-02-03", burned_in=True)
    (result,) = Predictor(limited).predict([item])
    axes = limited.warning_limits["axes"].numpy() * limited.warning_limits["scales"].numpy()
    expected = np.sqrt(((result.pooled @ axes) ** 2).mean())
    measures = result.prediction.measures
    assert measures.distance == pytest.approx(expected, rel=1e-4)
    assert (measures.mirrored, measures.dated, measures.burned_in) == (0.0, "2001-02-03", True)
    assert {"unusual_image", "burned_in_text"} <= set(result.prediction.warnings)


def test_only_a_reported_finding_is_tried_again_on_the_moved_image(limited):
    items = [decoded(seed) for seed in range(12)]
    predictor = Predictor(limited)
    results = predictor.predict(items)
    tried = {r.prediction.finding: r.prediction.measures.shifted is not None for r in results}
    assert set(tried) - {"normal"}, "the case needs a reported finding"
    assert all(again == (finding != "normal") for finding, again in tried.items())
    for item, result in zip(items, results, strict=True):
        if result.prediction.finding != "normal":
            batch = moved(to_input(item.working, SPEC)[None], SHIFT)
            again = dict(zip(SPEC.findings, predictor.forward(batch)[0][0].tolist(), strict=True))
            assert result.prediction.measures.shifted == reported(SPEC, again)


def test_a_model_without_limits_runs_each_image_once(artifact, monkeypatch):
    predictor, batches = Predictor(artifact), []
    forward = predictor.forward
    monkeypatch.setattr(predictor, "forward", lambda batch: batches.append(len(batch)) or forward(batch))
    predictor.predict([decoded(seed) for seed in range(5)])
    assert batches == [5]
