from __future__ import annotations

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.__main__ import main
from classifier.artifact.weights import load_artifact, save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.data import image_cache
from classifier.data.manifest import read_manifest
from classifier.errors import ArtifactError
from classifier.images import read
from classifier.networks.input_check import InputCheck
from classifier.networks.lung_segmenter import LungSegmenter
from classifier.networks.registry import network_for
from classifier.training import checkpoint, train
from classifier.training.classification import Classification
from classifier.training.config import Config
from classifier.training.loop import Loop
from classifier.training.optim import image_size_at, lr_factor, update_average
from tests.classifier.collection import write_collection, write_manifest

SPEC = ModelSpec(
    name="tiny", slot=Slot.CXR, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64
)
TINY = {"layers": (1, 1, 1, 1), "width": 4, "size": 64, "progressive": False, "batch": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def manifest(tmp_path_factory):
    return write_collection(tmp_path_factory.mktemp("images"), unknown=3)


@pytest.fixture
def config(manifest, tmp_path):
    quick = {"epochs": 3, "epoch_images": 48, "lr": 5e-3, "ema": 0.9, "json": True, "name": "tiny"}
    return Config(manifest=manifest, out=tmp_path / "run", cache=manifest.parent / "cache", **TINY, **quick)


def lines(config: Config, event: str) -> list[dict]:
    text = map(json.loads, (config.out / "log.jsonl").read_text().splitlines())
    return [line for line in text if line["event"] == event]


@pytest.fixture
def without_report(monkeypatch):
    """Training alone: what would be finished is returned as the weights."""
    monkeypatch.setattr(train, "export_model", lambda config, spec, state, **_: state)


def test_a_manifest_becomes_an_artifact_that_reports_the_findings_apart(manifest, tmp_path, capsys):
    options = "--layers 1,1,1,1 --width 4 --size 64 --no-progressive --batch 8 --epochs 5 --lr 5e-3 --ema 0.9"
    out = tmp_path / "run"
    command = ["train", "--manifest", str(manifest), "--out", str(out), *options.split(), "--name", "tiny"]
    assert main([*command, "--epoch-images", "160", "--json", "--device", "cpu"]) == 0
    text = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert text[-1] == {"event": "done", "artifact": str(out / "model.safetensors")}
    artifact = load_artifact(out / "model.safetensors")
    assert artifact.spec.findings == ("left", "right")
    assert artifact.spec.calibrated
    assert artifact.spec.decision == "abnormal_first"
    assert set(artifact.spec.operating_curve) == {"left", "right"}
    assert artifact.card["evaluation"]["overall"]["macro_auc"]["value"] > 0.9
    assert artifact.card["evaluation"]["present"] == {"left": 8, "right": 8}
    assert str(tmp_path) not in json.dumps(artifact.card)
    assert "# Model card: tiny" in (out / "model-card.md").read_text()


@pytest.mark.parametrize("given", [True, False])
def test_working_images_are_kept_after_a_run_with_a_cache_only(config, given):
    cache = config.out / "cache"
    train.train(replace(config, cache=cache if given else None, epochs=1, epoch_images=8))
    assert (cache / image_cache.WORKING).exists() == given
    assert list(cache.glob("*.npy"))


def test_a_run_that_was_killed_goes_on_to_the_same_weights(config, without_report, monkeypatch):
    whole = train.train(replace(config, out=config.out.with_name("whole")))
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", interrupted(Loop.end_epoch, at=2))
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    resumed = train.train(replace(config, resume=True))
    assert [line["epoch"] for line in lines(config, "epoch")] == [1, 2, 3]
    for name, tensor in whole.items():
        assert torch.allclose(tensor, resumed[name], atol=1e-4), name


def interrupted(method, *, at: int):
    """The method, with Ctrl-C in its n-th call."""
    calls = []

    def wrapper(*args):
        calls.append(args)
        if len(calls) == at:
            raise KeyboardInterrupt
        return method(*args)

    return wrapper


def test_a_checkpoint_of_another_model_is_not_gone_on_with(config, without_report):
    train.train(replace(config, epochs=1, epoch_images=8))
    with pytest.raises(ValueError, match="another model"):
        train.train(replace(config, width=8, resume=True))


def test_a_run_ends_when_its_time_is_up(config, without_report):
    train.train(replace(config, epochs=1000, epoch_images=8, max_minutes=1e-6))
    assert len(lines(config, "epoch")) == 1


def test_a_run_that_no_longer_improves_stops_early(config, without_report, monkeypatch):
    monkeypatch.setattr(
        Classification, "validate", lambda task, loop: {"val_loss": 1.0, "val_balanced_accuracy": 0.5}
    )
    train.train(replace(config, epochs=50, epoch_images=8, patience=2))
    assert len(lines(config, "epoch")) == 3


def test_the_weights_that_did_best_on_validation_are_kept(config, without_report, monkeypatch):
    losses = iter([0.9, 0.1, 0.5])
    seen = []

    def validate(task, loop):
        seen.append({name: tensor.clone() for name, tensor in loop.average.state_dict().items()})
        return {"val_loss": next(losses), "val_balanced_accuracy": 0.5}

    monkeypatch.setattr(Classification, "validate", validate)
    kept = train.train(replace(config, epoch_images=8))
    assert torch.equal(kept["fc.weight"], seen[1]["fc.weight"])
    assert not torch.equal(kept["fc.weight"], seen[2]["fc.weight"])


def test_the_averaged_weights_get_statistics_of_their_own(config, without_report, monkeypatch):
    def spoiled(loop, end_epoch=Loop.end_epoch):
        loop.average.norm.running_mean.fill_(100)
        end_epoch(loop)

    monkeypatch.setattr(Loop, "end_epoch", spoiled)
    kept = train.train(replace(config, epochs=1, epoch_images=8))
    assert kept["norm.running_mean"].abs().max() < 10


def test_training_starts_from_public_weights_when_it_is_given_them(config, without_report, tmp_path):
    from safetensors.torch import save_file

    state = network_for(SPEC).state_dict()
    save_file({**state, "fc.weight": state["fc.weight"] + 7}, tmp_path / "public.safetensors")
    trained = train.train(
        replace(config, pretrained=str(tmp_path / "public.safetensors"), epochs=1, epoch_images=8)
    )
    assert (trained["fc.weight"] > 6).all()


def test_only_the_last_layer_learns_while_the_rest_is_in_the_snapshot(config, without_report, monkeypatch):
    start, learned = [], []

    def judge(run):
        learned.append({name: tensor.clone() for name, tensor in run.network.state_dict().items()})

    def restore(run):
        start.append({name: tensor.clone() for name, tensor in run.network.state_dict().items()})

    monkeypatch.setattr(Loop, "end_epoch", judge)
    monkeypatch.setattr(Loop, "restore", restore)
    train.train(replace(config, epochs=2, epoch_images=16, freeze=0.5, resume=True))
    frozen = {name for name in start[0] if torch.equal(start[0][name], learned[0][name])}
    assert frozen == {name for name in start[0] if not name.startswith("fc.")}
    deep = next(name for name in start[0] if name.endswith("conv3.weight"))
    assert not torch.equal(learned[0][deep], learned[1][deep])
    assert not torch.equal(learned[0]["norm.running_mean"], learned[1]["norm.running_mean"])


@pytest.mark.parametrize(
    "how",
    [
        {"optimiser": "sgd", "lr": 0.05},
        {"loss": "focal"},
        {"balance": "weight"},
        {"balance": "none"},
        {"group_robust": 0.1},
    ],
)
def test_every_way_to_train_learns_and_goes_on_after_a_stop(config, without_report, monkeypatch, how):
    config = replace(config, epochs=4, **how)
    with monkeypatch.context() as patch:
        patch.setattr(Loop, "end_epoch", interrupted(Loop.end_epoch, at=2))
        with pytest.raises(KeyboardInterrupt):
            train.train(config)
    train.train(replace(config, resume=True))
    losses = [line["val_loss"] for line in lines(config, "epoch")]
    assert len(losses) == 4
    assert losses[-1] < losses[0]


def test_a_new_model_takes_over_the_input_check_of_an_earlier_one_to_the_bit(config, tmp_path):
    input_check_value, earlier = InputCheck(), tmp_path / "earlier.safetensors"
    card = {"gate": {"held_out": []}, "evaluation": {"of": "the earlier one"}}
    save_artifact(
        earlier,
        spec=SPEC,
        classifier_state=network_for(SPEC).state_dict(),
        card=card,
        input_check=input_check_value.state_dict(),
    )
    model = load_artifact(
        train.train(replace(config, auxiliary=earlier, epochs=1, epoch_images=8)), device="cpu"
    )
    kept = load_artifact(earlier).input_check
    assert all(torch.equal(model.input_check[name], kept[name]) for name in kept)
    assert model.segmenter is None
    assert model.card["gate"] == card["gate"]
    assert "overall" in model.card["evaluation"]


def test_auxiliary_networks_that_are_not_there_are_reported_before_any_training(config):
    with pytest.raises(OSError, match="nowhere"):
        train.train(replace(config, auxiliary=Path("nowhere.safetensors")))
    assert not (config.out / "log.jsonl").exists()


def test_a_manifest_without_a_finding_in_some_part_is_refused_in_words(tmp_path, capsys):
    manifest = write_collection(tmp_path, patients=2)
    assert (
        main(["train", "--manifest", str(manifest), "--out", str(tmp_path / "run"), "--device", "cpu"]) == 1
    )
    assert "has no image with" in capsys.readouterr().err


def test_a_held_out_hospital_need_not_have_every_finding(tmp_path, config):
    rows = read_manifest(write_collection(tmp_path, patients=24))
    part_of = {"p000": "test", "p002": "test", "p004": "val", "p005": "val"}
    lines = [
        {
            "image": row.image,
            "finding": row.findings[0],
            "patient": row.patient,
            "split": part_of.get(row.patient, "train"),
        }
        for row in rows
    ]
    held = write_manifest(tmp_path / "held-out.csv", lines)
    train.train(replace(config, manifest=held, epochs=1, epoch_images=8))
    found = json.loads((config.out / "evaluation.json").read_text())
    assert found["present"] == {"left": 4, "right": 0}
    assert found["overall"]["accuracy"]["value"] is not None
    assert found["overall"]["macro_auc"]["value"] is None


def test_statements_that_no_card_has_are_refused_before_any_training(manifest, tmp_path, capsys):
    about = tmp_path / "about.json"
    about.write_text('{"colour": "red"}')
    command = ["train", "--manifest", str(manifest), "--out", str(tmp_path / "run"), "--about", str(about)]
    assert main(command) == 1
    assert "'colour'" in capsys.readouterr().err


def test_images_with_several_findings_want_sigmoid_outputs(tmp_path, capsys):
    manifest = write_collection(tmp_path, patients=2)
    manifest.write_text(manifest.read_text().replace(",left,", ",left|right,"))
    assert main(["train", "--manifest", str(manifest), "--out", str(tmp_path / "run")]) == 1
    assert "--activation sigmoid" in capsys.readouterr().err


def test_a_checkpoint_gives_back_what_was_saved(tmp_path):
    network = network_for(SPEC).to(memory_format=torch.channels_last)
    checkpoint.save(tmp_path / "c.safetensors", {"network": network.state_dict(), "best": {}}, {"epoch": 3})
    states, facts = checkpoint.load(tmp_path / "c.safetensors")
    assert facts == {"epoch": 3}
    assert states["best"] == {}
    for name, tensor in network.state_dict().items():
        assert torch.equal(states["network"][name], tensor)


def test_a_failed_save_leaves_the_old_checkpoint(tmp_path):
    path = tmp_path / "c.safetensors"
    checkpoint.save(path, {"network": {"w": torch.ones(1)}}, {})
    with pytest.raises(TypeError):
        checkpoint.save(path, {"network": {"w": torch.zeros(1)}}, {"bad": object()})
    assert checkpoint.load(path)[0]["network"]["w"] == 1


def test_the_learning_rate_rises_then_falls_to_nearly_nothing():
    rates = [lr_factor(progress, 0.1) for progress in np.linspace(0, 1, 101)]
    assert rates.index(max(rates)) == 10
    assert rates[0] < 0.02
    assert rates[-1] == pytest.approx(0.01)


def test_images_grow_to_the_full_size_in_multiples_of_32():
    sizes = [image_size_at(progress, 160) for progress in np.linspace(0, 1, 101)]
    assert sorted(sizes) == sizes
    assert set(sizes) == {96, 128, 160}
    assert sizes.count(160) > 50  # half of the way: full size is no outsider at the end
    assert {image_size_at(progress, 96) for progress in (0.0, 0.3, 1.0)} == {64, 96}
    assert {image_size_at(progress, 32) for progress in (0.0, 1.0)} == {32}


def test_the_average_follows_weights_and_statistics():
    network, average = network_for(SPEC), network_for(SPEC)
    for name, tensor in network.state_dict().items():
        tensor.fill_(1)
        average.state_dict()[name].zero_()
    update_average(average, network, 0.75)
    assert average.fc.weight[0, 0] == 0.25
    assert average.norm.running_mean[0] == 0.25
    assert average.norm.num_batches_tracked == 1


@pytest.mark.gpu
def test_no_step_waits_for_the_card(config, without_report, monkeypatch):
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    learn, steps = Loop.learn, []

    def watched(loop, batch):
        torch.cuda.set_sync_debug_mode("error")
        try:
            steps.append(learn(loop, loop.task.batch(loop)))
        finally:
            torch.cuda.set_sync_debug_mode("default")
        return steps[-1]

    monkeypatch.setattr(Loop, "learn", watched)
    train.train(replace(config, device="cuda"))
    losses = torch.stack(steps)
    assert len(losses) == 18
    assert losses[-6:].mean() < losses[:6].mean()


def test_a_run_hashes_and_decodes_each_image_once(config, tmp_path, monkeypatch):
    manifest = write_collection(tmp_path / "images", unknown=3)
    decoded, hashed = Counter(), Counter()
    read_bytes, digest = read.read_bytes, image_cache.file_sha256
    monkeypatch.setattr(read, "read_bytes", lambda path: decoded.update([path]) or read_bytes(path))
    monkeypatch.setattr(image_cache, "file_sha256", lambda path: hashed.update([path]) or digest(path))
    segmenter = LungSegmenter().state_dict()
    earlier, state = tmp_path / "earlier.safetensors", network_for(SPEC).state_dict()
    save_artifact(earlier, spec=SPEC, classifier_state=state, card={}, segmenter=segmenter)
    options = {"cache": None, "auxiliary": earlier, "crop": "lungs", "epochs": 1, "epoch_images": 8}
    train.train(replace(config, manifest=manifest, shortcuts=8, **options))
    rows = read_manifest(manifest)
    assert decoded == dict.fromkeys((row.path for row in rows), 1)
    assert hashed == dict.fromkeys((row.path for row in rows), 1)


def test_a_data_set_that_was_validated_is_not_validated_again(
    config, manifest, tmp_path, without_report, capsys
):
    assert main(["validate", "--manifest", str(manifest), "--json"]) == 0
    (tmp_path / "validation.json").write_text(capsys.readouterr().out)
    options = {"validation": tmp_path / "validation.json", "cache": None, "epochs": 1, "epoch_images": 8}
    train.train(replace(config, **options))
    (line,) = lines(config, "validation")
    assert {warning["code"] for warning in line["warnings"]} == {"tiny_finding", "finding_unknown"}
    assert not (config.out / "cache" / "statistics.npz").exists()
    with pytest.raises(ValueError, match=r"of 80 images, the manifest has 40"):
        train.train(replace(config, **options, where=("source=north",)))


def test_what_was_not_loaded_from_an_earlier_model_is_in_the_summary(config, manifest, tmp_path, capsys):
    earlier, spec = tmp_path / "earlier.safetensors", replace(SPEC, findings=("right", "up"))
    save_artifact(earlier, spec=spec, classifier_state=network_for(spec).state_dict(), card={})
    options = "--layers 1,1,1,1 --width 4 --size 64 --batch 8 --epochs 1 --epoch-images 8 --device cpu"
    command = ["train", "--manifest", str(manifest), "--out", str(config.out), "--shortcuts", "0"]
    assert main([*command, *options.split(), "--pretrained", str(earlier)]) == 0
    summary = capsys.readouterr().out.splitlines()[-1]
    assert summary == (
        "started from tiny; findings without earlier weights: left; "
        "findings of the earlier model not used: up"
    )


def test_another_size_than_the_earlier_models_is_used(config, tmp_path, without_report, monkeypatch):
    earlier, specs = tmp_path / "earlier.safetensors", []
    save_artifact(earlier, spec=SPEC, classifier_state=network_for(SPEC).state_dict(), card={})
    monkeypatch.setattr(train, "export_model", lambda config, spec, state, **_: specs.append(spec))
    train.train(replace(config, pretrained=str(earlier), size=96, epochs=1, epoch_images=8))
    assert specs[0].size == 96


def test_weights_of_another_shape_are_refused_with_both_shapes(config, tmp_path):
    earlier = tmp_path / "earlier.safetensors"
    save_artifact(earlier, spec=SPEC, classifier_state=network_for(SPEC).state_dict(), card={})
    with pytest.raises(ArtifactError, match=r"has width 4, this training width 8"):
        train.train(replace(config, pretrained=str(earlier), width=8))
