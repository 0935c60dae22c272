"""Engines give PyTorch's results or do not serve; the fastest serves, and is remembered."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.contract import ModelSpec, Slot
from classifier.inference.engines import choose as choosing
from classifier.inference.engines import exported
from classifier.inference.engines.choose import Figures, Wanted, choose, disagreement
from classifier.inference.engines.engine import Outputs, PyTorch
from classifier.networks.registry import network_for

SPEC = ModelSpec(
    name="tiny",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    layers=(1, 1, 1, 1),
    width=8,
    size=64,
    temperature=1.7,
    bias={"normal": 0.2, "pneumonia": 0.0, "covid19": -0.1},
)
INPUTS = torch.randn(4, 1, 64, 64, generator=torch.Generator().manual_seed(1))


def reference(**changes) -> PyTorch:
    torch.manual_seed(0)
    spec = replace(SPEC, **changes)
    network = network_for(spec).eval()
    for module in network.modules():
        if isinstance(module, torch.nn.BatchNorm2d):
            torch.nn.init.normal_(module.running_mean, std=0.1)
            torch.nn.init.uniform_(module.running_var, 0.5, 2)
    return PyTorch(network, spec, torch.device("cpu"))


@pytest.fixture(scope="module")
def graph(tmp_path_factory) -> Path:
    path = tmp_path_factory.mktemp("graph") / "network.onnx"
    exported.export(reference().serving, 1, path)
    return path


def wanted(folder: Path | None = None, name: str = "auto", *, reduced: bool = False) -> Wanted:
    return Wanted(name, reduced, batch_size=4, sha256="a" * 64, folder=folder)


class Stand:
    """An engine of a given speed that changes the outputs of PyTorch."""

    precision = "fp32"

    def __init__(self, seconds: float, change=lambda outputs: outputs, name: str = "onnxruntime") -> None:
        self.name, self.seconds, self.change, self.exact = name, seconds, change, reference()

    def __call__(self, batch: torch.Tensor) -> Outputs:
        return self.change(self.exact(batch))


@pytest.fixture
def timed(monkeypatch):
    """Engines take the time that they state, PyTorch 1 second."""
    monkeypatch.setattr(choosing, "SECONDS", 0)
    seconds = lambda engine, batch: getattr(engine, "seconds", 1.0) * len(batch)  # noqa: E731
    monkeypatch.setattr(choosing, "_seconds", seconds)


@pytest.fixture
def candidates(monkeypatch):
    """Other engines in place of those that are installed."""

    def put(*engines) -> None:
        def make(exact, *_):
            others = {(one.name, one.precision): (lambda one=one: one) for one in engines}
            return {("pytorch", "fp32"): lambda: exact} | others

        monkeypatch.setattr(choosing, "_candidates", make)

    return put


@pytest.mark.parametrize("batch", [1, 3, 8])
def test_onnx_runtime_gives_what_pytorch_gives_for_any_batch(graph, batch):
    pytest.importorskip("onnxruntime")
    images = torch.randn(batch, 1, 64, 64)
    for found, expected in zip(exported.OnnxRuntime(graph, 1)(images), reference()(images), strict=True):
        assert found.dtype == np.float32
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize("batch", [1, 3])
def test_openvino_gives_what_pytorch_gives_for_any_batch(graph, batch):
    pytest.importorskip("openvino")
    images = torch.randn(batch, 1, 64, 64)
    for found, expected in zip(exported.OpenVino(graph, 1)(images), reference()(images), strict=True):
        np.testing.assert_allclose(found, expected, atol=1e-4, rtol=1e-4)


def test_a_batch_that_cannot_be_computed_is_a_runtime_error(graph):
    """So that the predictor finds the image that spoils it."""
    pytest.importorskip("onnxruntime")
    with pytest.raises(RuntimeError):
        exported.OnnxRuntime(graph, 1)(torch.zeros(1, 3, 64, 64))


def test_the_fastest_that_agrees_serves(candidates, timed):
    wrong = lambda outputs: outputs._replace(probabilities=outputs.probabilities[:, ::-1])  # noqa: E731
    candidates(Stand(0.5), Stand(0.1, wrong, name="wrong"), Stand(2.0, name="slow"))
    choice = choose(reference(), wanted(), INPUTS)
    assert choice.engine.name == "onnxruntime"
    assert [one.engine for one in choice.figures] == ["onnxruntime", "pytorch", "slow", "wrong"]
    assert [one.alone for one in choice.figures[:3]] == [2.0, 1.0, 0.5]
    assert "probability" in choice.figures[3].refused


def test_an_engine_that_fails_is_not_used(candidates, timed):
    def fail(outputs):
        raise OSError("no such instruction")

    candidates(Stand(0.1, fail))
    choice = choose(reference(), wanted(), INPUTS)
    assert (choice.engine.name, choice.figures[-1].refused) == ("pytorch", "OSError")


def test_a_choice_is_remembered_and_held_to_the_network_again(candidates, timed, tmp_path):
    candidates(Stand(0.5))
    first = choose(reference(), wanted(tmp_path), INPUTS)
    candidates(Stand(9.0))
    assert choose(reference(), wanted(tmp_path), INPUTS).figures == first.figures
    candidates(Stand(0.5, lambda outputs: outputs._replace(probabilities=0 * outputs.probabilities)))
    again = choose(reference(), wanted(tmp_path), INPUTS)
    assert (again.engine.name, again.figures[0].engine) == ("pytorch", "pytorch")


def test_a_damaged_memory_of_a_choice_is_made_again(candidates, timed, tmp_path):
    candidates(Stand(0.5))
    choose(reference(), wanted(tmp_path), INPUTS)
    (kept,) = tmp_path.glob("*.json")
    for damage in ("", "[]", '[{"engine": 1}]', json.dumps({"engine": "onnxruntime"})):
        kept.write_text(damage)
        assert choose(reference(), wanted(tmp_path), INPUTS).engine.name == "onnxruntime"


def test_a_named_engine_that_is_not_installed_gives_way_to_pytorch(monkeypatch):
    monkeypatch.setattr(exported, "find_spec", lambda package: None)
    choice = choose(reference(), wanted(name="openvino"), INPUTS)
    assert [(one.engine, one.precision) for one in choice.figures] == [("pytorch", "fp32")]
    assert choice.engine.name == "pytorch"


def test_what_is_installed_is_tried_with_the_graph_that_is_there(tmp_path, monkeypatch, graph):
    pytest.importorskip("onnxruntime")
    monkeypatch.setattr(choosing, "SECONDS", 0.01)
    shutil.copy(graph, tmp_path / f"{wanted().sha256}-{torch.__version__}.onnx")
    choice = choose(reference(), wanted(tmp_path), INPUTS)
    speeds = {one.engine: one.speed for one in choice.figures if not one.refused}
    assert speeds.keys() >= {"pytorch", "onnxruntime"}
    assert choice.engine.name == max(speeds, key=speeds.__getitem__)
    assert len(list(tmp_path.glob("*.onnx"))) == 1


OUTPUTS = reference()(INPUTS)


@pytest.mark.parametrize(
    ("change", "stated"),
    [
        ({}, ""),
        ({"probabilities": OUTPUTS.probabilities + 0.02}, "a probability"),
        ({"probabilities": np.full_like(OUTPUTS.probabilities, np.nan)}, "not finite"),
        ({"grids": -OUTPUTS.grids}, "a heatmap"),
        ({"pooled": OUTPUTS.pooled * 1.1}, "pooled features"),
    ],
)
def test_outputs_that_differ_are_refused_with_what_differs(change, stated):
    found = disagreement(OUTPUTS, OUTPUTS._replace(**change))
    assert (stated in found) if stated else not found


def test_a_change_of_order_is_a_disagreement_even_if_small():
    near = Outputs(np.array([[0.5, 0.499, 0.001]]), np.ones((1, 3, 2, 2)), np.ones((1, 8)))
    turned = near._replace(probabilities=np.array([[0.499, 0.5, 0.001]]))
    assert "order" in disagreement(near, turned)


def test_single_images_and_full_batches_count_the_same():
    assert Figures("a", "fp32", alone=4, batched=9).speed == pytest.approx(6)
