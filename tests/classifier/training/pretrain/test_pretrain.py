"""Pretraining without labels: it learns, goes on where it was killed, and a training starts from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from classifier.__main__ import main
from classifier.training import train as training
from classifier.training.config import Config
from classifier.training.loop import Loop
from classifier.training.pretrain import tasks
from classifier.training.pretrain import train as pretrain
from classifier.training.pretrain.fractals import render, system, varied
from tests.classifier.collection import write_collection

TINY = {"layers": (1, 1, 1, 1), "width": 4, "size": 32, "device": "cpu"}


@pytest.fixture
def siamese(tmp_path) -> pretrain.Config:
    manifest = write_collection(tmp_path / "images", patients=24)
    return pretrain.Config(how="siamese", out=tmp_path / "run", manifest=manifest, steps=40, batch=16, **TINY)


@pytest.fixture
def few_fractals(monkeypatch):
    monkeypatch.setattr(tasks, "KEPT", 48)


def losses(out: Path) -> list[float]:
    return [json.loads(line)["loss"] for line in (out / "log.jsonl").read_text().splitlines()]


def test_a_category_of_fractals_is_reported_from_another_by_its_own_kind():
    rng = np.random.default_rng(0)
    images = np.stack([render(varied(system(c), rng), 64, rng) for c in range(12) for _ in range(6)])
    assert (images.min(), images.max()) == (0.0, 1.0)
    assert (images > 0.1).mean(axis=(1, 2)).min() > 0.02
    flat = images.reshape(12, 6, -1)
    within = np.linalg.norm(flat[:, :1] - flat[:, 1:], axis=-1).mean()
    between = np.linalg.norm(flat[:1, 0] - flat[1:, 0], axis=-1).mean()
    assert within < 0.8 * between


def test_a_formula_is_the_same_for_the_same_seed():
    assert np.array_equal(system(3).a, system(3).a)
    assert not np.array_equal(system(3).a, system(3, seed=1).a)


def test_fractals_are_learned(tmp_path, few_fractals):
    config = pretrain.Config(how="fractals", out=tmp_path, categories=4, steps=80, batch=16, lr=5e-3, **TINY)
    pretrain.pretrain(config)
    assert np.mean(losses(tmp_path)[-2:]) < 0.8 * np.log(4)


def test_two_views_of_an_image_grow_alike_and_images_do_not_all_become_one(siamese):
    state = load_file(pretrain.pretrain(replace(siamese, size=64, lr=5e-3, steps=160)))
    assert np.mean(losses(siamese.out)[-3:]) < -0.3
    assert not any(name.startswith("fc.") for name in state)


def test_no_image_of_the_other_parts_is_seen(siamese, monkeypatch):
    seen = []
    prepare = pretrain.prepare
    monkeypatch.setattr(
        pretrain, "prepare", lambda rows, *a, **k: seen.extend(rows) or prepare(rows, *a, **k)
    )
    pretrain.pretrain(replace(siamese, steps=1))
    assert {row.split for row in seen} == {"train"}
    assert len(seen) < 48


def test_a_pretraining_that_is_killed_goes_on_as_the_whole_one(siamese, monkeypatch, tmp_path):
    monkeypatch.setattr(pretrain, "SAVE_EVERY", 5)
    whole = load_file(pretrain.pretrain(replace(siamese, steps=10, out=tmp_path / "whole")))
    save = Loop.save

    def killed(run):
        save(run)
        if run.step == 5:
            raise KeyboardInterrupt

    monkeypatch.setattr(Loop, "save", killed)
    config = replace(siamese, steps=10)
    with pytest.raises(KeyboardInterrupt):
        pretrain.pretrain(config)
    monkeypatch.setattr(Loop, "save", save)
    resumed = load_file(pretrain.pretrain(replace(config, resume=True)))
    assert all(torch.allclose(whole[name].float(), resumed[name].float(), atol=1e-5) for name in whole)


def test_a_training_starts_from_it(siamese, tmp_path, monkeypatch):
    weights = pretrain.pretrain(replace(siamese, steps=2))
    monkeypatch.setattr(training, "export_model", lambda *_, **__: None)
    options = {"epochs": 1, "epoch_images": 8, "batch": 8, "json": True, "progressive": False}
    config = Config(
        manifest=siamese.manifest, out=tmp_path / "after", pretrained=str(weights), **options, **TINY
    )
    training.train(config)
    text = map(json.loads, (config.out / "log.jsonl").read_text().splitlines())
    assert next(line for line in text if line["event"] == "pretrained")["left_out"] == [
        "fc.weight",
        "fc.bias",
    ]


def test_siamese_without_images_is_refused_in_words(tmp_path, capsys):
    assert main(["pretrain", "--how", "siamese", "--out", str(tmp_path)]) == 1
    assert "--manifest" in capsys.readouterr().err
