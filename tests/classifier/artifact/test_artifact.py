"""The artifact file: what is written comes back, and nothing else is accepted."""

from __future__ import annotations

import json
import struct
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier import errors
from classifier.artifact import header as artifacts
from classifier.artifact.header import read_header
from classifier.artifact.weights import load_artifact, save_artifact, verify_golden
from classifier.contract import ModelSpec, Slot
from classifier.errors import ArtifactError
from classifier.networks.registry import network_for

SPEC = ModelSpec(
    name="tiny",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    layers=(1, 1, 1, 1),
    width=8,
    size=64,
)
CARD = {"data": "noise", "limits": ["knows nothing"]}


@pytest.fixture(scope="module")
def network() -> torch.nn.Module:
    torch.manual_seed(0)
    return network_for(SPEC).eval()


@pytest.fixture
def golden() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 65536, (2, 80, 70), dtype=np.uint16)


def saved(path: Path, network: torch.nn.Module, **changes) -> str:
    settings = {"spec": SPEC, "classifier_state": network.state_dict(), "card": CARD} | changes
    return save_artifact(path, **settings)


def rewrite_header(path: Path, change) -> None:
    data = path.read_bytes()
    end = 8 + struct.unpack("<Q", data[:8])[0]
    header = json.loads(data[8:end])
    change(header)
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + data[end:])


def error_of(call, *args, **kwargs) -> str:
    with pytest.raises(ArtifactError) as caught:
        call(*args, **kwargs)
    return caught.value.code


@pytest.mark.parametrize(("storage", "tolerance"), [("fp32", 0.0), ("fp16", 1e-3), ("int8", 2e-2)])
def test_a_saved_network_comes_back_in_float32(tmp_path, network, storage, tolerance):
    saved(tmp_path / "a.safetensors", network, storage=storage)
    loaded = load_artifact(tmp_path / "a.safetensors")
    assert loaded.spec == SPEC
    assert loaded.card == CARD
    assert not loaded.network.training
    for name, tensor in network.state_dict().items():
        found = loaded.network.state_dict()[name]
        assert found.dtype == tensor.dtype
        assert (found - tensor).abs().max() <= tolerance * tensor.abs().max()


def test_int8_keeps_a_scale_for_every_output_channel(tmp_path, network):
    state = dict(network.state_dict())
    state["fc.weight"] = state["fc.weight"] * torch.tensor([[1.0], [1000.0], [0.0]])
    saved(tmp_path / "a.safetensors", network, classifier_state=state)
    found = load_artifact(tmp_path / "a.safetensors").network.fc.weight
    step = state["fc.weight"].abs().amax(dim=1, keepdim=True) / 127
    assert ((found - state["fc.weight"]).abs() <= step / 2 + 1e-9).all()


def test_int8_storage_is_a_quarter_of_float32(tmp_path, network):
    for storage in ("int8", "fp32"):
        saved(tmp_path / storage, network, storage=storage)
    assert (tmp_path / "int8").stat().st_size < 0.4 * (tmp_path / "fp32").stat().st_size


def test_the_same_contents_have_the_same_hash(tmp_path, network, golden):
    digests = {saved(tmp_path / f"{n}.safetensors", network, golden=golden) for n in range(6)}
    assert len(digests) == 1


def test_storing_what_was_loaded_changes_nothing_more(tmp_path, network):
    first = saved(tmp_path / "a.safetensors", network)
    loaded = load_artifact(tmp_path / "a.safetensors")
    assert saved(tmp_path / "b.safetensors", loaded.network) == first


def test_optional_parts_travel_with_the_model(tmp_path, network):
    part = {"conv.weight": torch.arange(-9, 9).reshape(2, 1, 3, 3) / 8, "steps": torch.tensor(7)}
    saved(tmp_path / "a.safetensors", network, segmenter=part, input_check=part, storage="fp32")
    loaded = load_artifact(tmp_path / "a.safetensors")
    assert torch.equal(loaded.segmenter["conv.weight"], part["conv.weight"])
    assert loaded.input_check["steps"].item() == 7
    saved(tmp_path / "b.safetensors", network)
    assert load_artifact(tmp_path / "b.safetensors").segmenter is None


def test_golden_inputs_prove_a_model_and_betray_a_changed_one(tmp_path, network, golden):
    saved(tmp_path / "a.safetensors", network, golden=golden)
    loaded = load_artifact(tmp_path / "a.safetensors")
    assert verify_golden(loaded, atol=1e-5) <= 1e-5
    with torch.no_grad():
        loaded.network.fc.bias += torch.tensor([1.0, 0.0, 0.0])
    assert error_of(verify_golden, loaded) == errors.GOLDEN_MISMATCH


def test_a_model_without_golden_inputs_cannot_be_verified(tmp_path, network):
    saved(tmp_path / "a.safetensors", network)
    assert error_of(verify_golden, load_artifact(tmp_path / "a.safetensors")) == errors.GOLDEN_MISMATCH


def test_the_header_is_read_without_torch(tmp_path, network):
    path = tmp_path / "a.safetensors"
    digest = saved(path, network)
    assert read_header(path) == (SPEC, CARD, digest, None)
    program = "import sys; from classifier.artifact.header import read_header; read_header(sys.argv[1]); "
    program += "assert 'torch' not in sys.modules and 'numpy' not in sys.modules"
    root = Path(artifacts.__file__).parents[2]
    subprocess.run([sys.executable, "-c", program, path], check=True, cwd=root)


def test_a_file_other_than_the_registered_one_is_refused(tmp_path, network):
    path = tmp_path / "a.safetensors"
    digest = saved(path, network)
    data = bytearray(path.read_bytes())
    data[-1] ^= 1
    path.write_bytes(data)
    assert error_of(load_artifact, path, expected_sha256=digest) == errors.HASH_MISMATCH


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\x89PNG\r\n\x1a\n" + b"0" * 200,
        struct.pack("<Q", 2**40) + b"{}",
        struct.pack("<Q", 4) + b"[[[[" + b"0" * 50,
        struct.pack("<Q", 2) + b"[]" + b"0" * 50,
        struct.pack("<Q", 100_000) + b"[" * 100_000,
        struct.pack("<Q", 2) + b"{}" + b"0" * 50,
    ],
    ids=["empty", "png", "huge header", "no json", "no object", "deep json", "no metadata"],
)
def test_a_file_that_is_no_artifact_states_so(tmp_path, data):
    path = tmp_path / "a.safetensors"
    path.write_bytes(data)
    assert error_of(read_header, path) == errors.NOT_AN_ARTIFACT
    assert error_of(load_artifact, path) == errors.NOT_AN_ARTIFACT


def test_a_truncated_artifact_is_refused(tmp_path, network):
    path = tmp_path / "a.safetensors"
    saved(path, network)
    path.write_bytes(path.read_bytes()[:-100])
    assert error_of(load_artifact, path) == errors.NOT_AN_ARTIFACT


def test_a_later_format_version_is_refused(tmp_path, network):
    path = tmp_path / "a.safetensors"
    saved(path, network)
    rewrite_header(path, lambda header: header["__metadata__"].update(format_version="2"))
    assert error_of(read_header, path) == errors.UNSUPPORTED_VERSION
    assert error_of(load_artifact, path) == errors.UNSUPPORTED_VERSION


@pytest.mark.parametrize(
    "spec", ["{", "[]", '{"name": 1}', SPEC.to_json().replace('"size": 64', '"size": "64"')]
)
def test_a_malformed_spec_is_refused(tmp_path, network, spec):
    path = tmp_path / "a.safetensors"
    saved(path, network)
    rewrite_header(path, lambda header: header["__metadata__"].update(spec=spec))
    assert error_of(read_header, path) == errors.NOT_AN_ARTIFACT


def test_tensors_of_an_unknown_part_are_refused(tmp_path, network):
    path = tmp_path / "a.safetensors"
    saved(path, network)
    rewrite_header(path, lambda header: header.update({"surprise.x": header.pop("classifier.fc.bias")}))
    assert error_of(read_header, path) == errors.KEY_MISMATCH
    assert error_of(load_artifact, path) == errors.KEY_MISMATCH


@pytest.mark.parametrize(
    "change",
    [
        lambda header: header.update({"classifier.extra": header.pop("classifier.fc.bias")}),
        lambda header: header.update({"classifier.none#scale": header.pop("gate.spare")}),
        lambda header: header.update({"classifier.fc.extra": header.pop("classifier.fc.weight#scale")}),
    ],
    ids=["renamed tensor", "scale without tensor", "int8 without scale"],
)
def test_names_are_strict(tmp_path, network, change):
    path = tmp_path / "a.safetensors"
    saved(path, network, input_check={"spare": torch.ones(3)})
    rewrite_header(path, change)
    assert error_of(load_artifact, path) == errors.KEY_MISMATCH


def test_weights_that_do_not_fit_the_spec_are_not_even_saved(tmp_path, network):
    wider = replace(SPEC, width=16)
    assert error_of(saved, tmp_path / "a.safetensors", network, spec=wider) == errors.KEY_MISMATCH
    assert not list(tmp_path.iterdir())


def test_a_spec_that_asks_for_a_monstrous_network_is_refused(tmp_path, network):
    path = tmp_path / "a.safetensors"
    saved(path, network)
    monster = replace(SPEC, layers=(10**9, 1, 1, 1)).to_json()
    rewrite_header(path, lambda header: header["__metadata__"].update(spec=monster))
    assert error_of(load_artifact, path) == errors.KEY_MISMATCH


def test_weights_that_are_not_finite_are_refused(tmp_path, network):
    state = dict(network.state_dict()) | {"fc.bias": torch.tensor([0.0, float("nan"), 0.0])}
    assert error_of(saved, tmp_path / "a", network, classifier_state=state) == errors.KEY_MISMATCH
