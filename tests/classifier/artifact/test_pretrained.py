"""A training starts from an earlier model, from a file of public weights, or from what the hub has."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch
from safetensors.torch import save_file

from classifier.artifact.pretrained import AUTO, Transfer, start_from
from classifier.artifact.weights import load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.errors import KEY_MISMATCH, NOT_AN_ARTIFACT, ArtifactError
from classifier.networks.registry import network_for

SPEC = ModelSpec("tiny", Slot.CXR, ("left", "right"), layers=(1, 1, 1, 1), width=4, size=64)
WHOLE = ModelSpec("whole", Slot.CXR, ("left", "right"), size=64)


@pytest.fixture
def earlier(tmp_path):
    torch.manual_seed(5)
    path = tmp_path / "earlier.safetensors"
    state = network_for(SPEC).state_dict()
    save_artifact(path, spec=SPEC, classifier_state=state, card={})
    return path


def test_an_earlier_model_is_gone_on_from_with_its_head(earlier):
    network = network_for(SPEC)
    assert start_from(network, SPEC, str(earlier)) == Transfer("tiny")
    for name, tensor in load_artifact(earlier).network.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor), name


def test_a_model_of_other_findings_gives_all_but_its_head(earlier):
    network = network_for(SPEC)
    head = network.fc.weight.clone()
    found = start_from(network, replace(SPEC, findings=("up", "down")), str(earlier))
    assert found == Transfer("tiny", ("fc.weight", "fc.bias"), ("up", "down"), ("left", "right"))
    assert torch.equal(network.fc.weight, head)
    given = load_artifact(earlier).network.state_dict()
    assert all(torch.equal(network.state_dict()[n], given[n]) for n in given if not n.startswith("fc."))


def test_outputs_are_matched_by_finding_whatever_their_order(earlier):
    spec = replace(SPEC, findings=("right", "up", "left"))
    network = network_for(spec)
    before = network.fc.weight.clone()
    found = start_from(network, spec, str(earlier))
    given = load_artifact(earlier).network.fc
    assert torch.equal(network.fc.weight[[2, 0]], given.weight)
    assert torch.equal(network.fc.bias[[2, 0]], given.bias)
    assert torch.equal(network.fc.weight[1], before[1])
    assert found == Transfer("tiny", new=("up",))
    assert found.summary == "started from tiny; findings without earlier weights: up"


def test_a_model_of_another_network_is_refused(earlier):
    with pytest.raises(ArtifactError) as refused:
        start_from(network_for(replace(SPEC, width=8)), replace(SPEC, width=8), str(earlier))
    assert refused.value.code == KEY_MISMATCH


def test_a_plain_file_of_weights_is_read(tmp_path):
    network = network_for(SPEC)
    save_file({name: tensor + 1 for name, tensor in network.state_dict().items()}, tmp_path / "w.safetensors")
    assert start_from(network, SPEC, str(tmp_path / "w.safetensors")).weights == "w.safetensors"


def test_public_weights_come_from_the_hub(tmp_path, monkeypatch):
    timm = pytest.importorskip("timm")
    save_file(timm.create_model("resnetv2_50").state_dict(), tmp_path / "model.safetensors")
    asked = []

    def download(*what):
        asked.append(what)
        return str(tmp_path / "model.safetensors")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    found = start_from(network_for(WHOLE), WHOLE, AUTO)
    assert asked == [("timm/resnetv2_50.a1h_in1k", "model.safetensors")]
    assert found.left_out == ("fc.weight", "fc.bias")


def test_what_cannot_be_fetched_is_reported_with_a_way_out(monkeypatch):
    def download(*_):
        raise ConnectionError("no route")

    monkeypatch.setitem(sys.modules, "huggingface_hub", SimpleNamespace(hf_hub_download=download))
    with pytest.raises(ArtifactError, match="--pretrained FILE") as refused:
        start_from(network_for(WHOLE), WHOLE, AUTO)
    assert refused.value.code == NOT_AN_ARTIFACT
    with pytest.raises(ArtifactError, match="no public weights"):
        start_from(network_for(SPEC), SPEC, AUTO)
