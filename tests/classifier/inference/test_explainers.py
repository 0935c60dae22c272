"""Other explainers than our own: the grad-cam package's maps, small, bounded, and called relative."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from classifier.contract import RELATIVE
from classifier.inference.explain import ExplainerMissing, contribution, relative_cam, relative_grids
from classifier.inference.predictor import Failure, Input, Predictor
from classifier.networks.registry import cam_layer_of
from tests.classifier.cli.test_cli import save
from tests.classifier.networks.test_cam import SPEC, network_of

package = pytest.importorskip("pytorch_grad_cam")
THEIRS = {
    "gradcam++": package.GradCAMPlusPlus,
    "hirescam": package.HiResCAM,
    "layercam": package.LayerCAM,
    "eigencam": package.EigenCAM,
    "scorecam": package.ScoreCAM,
}


@pytest.fixture
def decoded() -> torch.Tensor:
    torch.manual_seed(1)
    return torch.randn(1, 1, SPEC.size, SPEC.size)


@pytest.mark.parametrize("method", RELATIVE)
def test_a_map_is_the_packages_own_at_the_resolution_of_the_grid(method, decoded):
    from pytorch_grad_cam.utils.image import scale_cam_image

    network = network_of("resnetv2", seed=3)
    grids = relative_grids(method, network, decoded, SPEC, range(3))
    assert grids.shape == (3, 3, 3)
    assert (grids.min(axis=(1, 2)) == 0).all()
    largest = 0.0
    for finding in range(3):
        explainer = THEIRS[method](model=network, target_layers=[cam_layer_of(network, SPEC)])
        theirs = explainer(input_tensor=decoded, targets=[contribution(finding, SPEC)])
        explainer.activations_and_grads.release()
        full = scale_cam_image(scale_cam_image(grids[finding][None], (SPEC.size, SPEC.size)))
        largest = max(largest, np.ptp(theirs))
        np.testing.assert_allclose(full, theirs, atol=1e-5)
    assert largest > 0.5


@pytest.fixture
def predictor(tmp_path) -> Predictor:
    from classifier.artifact.weights import load_artifact

    return Predictor(load_artifact(save(tmp_path / "tiny.safetensors")))


@pytest.fixture
def item() -> Input:
    working = np.random.default_rng(0).integers(0, 60_000, (80, 64), dtype=np.uint16)
    return Input(working, original=(800, 640))


@pytest.mark.parametrize("method", RELATIVE)
def test_every_finding_has_its_map_on_a_scale_of_its_own(method, predictor, item):
    cam = relative_cam(predictor, item, method, "pneumonia")
    assert set(cam.grids) == set(SPEC.findings)
    assert cam.scale == 1.0
    assert all(0 <= value <= 1 for grid in cam.grids.values() for row in grid for value in row)
    (result,) = predictor.predict([item])
    assert cam.affine == result.cam.affine, "it lies where the model's own map lies"


def test_explaining_leaves_nothing_behind_in_the_warm_network(predictor, item):
    (before,) = predictor.predict([item])
    for method in ("layercam", "scorecam"):
        relative_cam(predictor, item, method, "normal")
    assert all(parameter.grad is None for parameter in predictor.network.parameters())
    assert not any(module._forward_hooks for module in predictor.network.modules())
    (after,) = predictor.predict([item])
    assert after.cam == before.cam
    assert not predictor.network.training


def test_score_cam_takes_a_breath_between_batches_and_stops_when_it_is_reported(predictor, item):
    breaths = []
    relative_cam(predictor, item, "scorecam", "normal", between=lambda: breaths.append(1))
    assert len(breaths) == predictor.network.fc.in_features // 32

    def enough() -> None:
        raise TimeoutError

    with pytest.raises(TimeoutError):
        relative_cam(predictor, item, "scorecam", "normal", between=enough)
    assert not any(module._forward_hooks for module in predictor.network.modules())


def test_no_memory_for_it_is_a_coded_failure(predictor, item, monkeypatch):
    def full(*args):
        raise torch.OutOfMemoryError("no space left")

    monkeypatch.setattr(predictor.fp32_network, "forward", full)
    found = relative_cam(predictor, item, "layercam", "normal")
    assert isinstance(found, Failure)
    assert found.code == "out_of_memory"


def test_without_the_package_it_is_stated_what_is_missing(decoded, monkeypatch):
    import sys

    real = builtins.__import__

    def without(name, *details):
        if name.startswith("pytorch_grad_cam"):
            raise ImportError(name)
        return real(name, *details)

    monkeypatch.delitem(sys.modules, "classifier.inference.explainers", raising=False)
    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ExplainerMissing, match="pip install grad-cam"):
        relative_grids("layercam", network_of("resnetv2", seed=0), decoded, SPEC, [0])
