"""Soft targets, weights of sources and unreliable labels, from the manifest to the loss."""

from __future__ import annotations

import csv

import numpy as np
import pytest
import torch

from classifier.data.manifest import read_manifest
from classifier.data.teacher import read_teacher
from classifier.training import loop, train
from classifier.training.classification import Classification
from classifier.training.config import Config
from classifier.training.loop import Loop
from classifier.training.loss import distillation_of
from tests.classifier.collection import write_collection, write_manifest

TINY = {"layers": (1, 1, 1, 1), "width": 4, "size": 64, "progressive": False, "batch": 8, "device": "cpu"}


@pytest.fixture
def manifest(tmp_path):
    """Every eighth image has a soft target instead of a finding."""
    with write_collection(tmp_path / "images").open(newline="") as file:
        lines = list(csv.DictReader(file))
    for n, line in enumerate(lines):
        unsure = n // 2 % 4 == 0
        line |= {"finding": "", "soft": "left=0.8|right=0.2"} if unsure else {"soft": ""}
    return write_manifest(tmp_path / "images" / "manifest.csv", lines)


def task_of(manifest, monkeypatch, **options) -> Classification:
    """The task of a run that ends before its first step."""
    tasks = []
    monkeypatch.setattr(Loop, "run", lambda loop: tasks.append(loop.task))
    monkeypatch.setattr(train, "export_model", lambda *args, **facts: None)
    train.train(Config(manifest=manifest, out=manifest.parent / "run", json=True, **TINY, **options))
    return tasks[0]


def test_soft_targets_are_trained_on_and_never_validated_on(manifest, monkeypatch):
    task = task_of(manifest, monkeypatch)
    unsure = np.array([row.soft is not None for row in task.train.rows])
    assert unsure.any()
    assert task.train.targets[unsure] == pytest.approx(np.tile([0.8, 0.2], (unsure.sum(), 1)))
    assert (task.weights[unsure] > 0).all()
    unsure = np.array([row.soft is not None for row in task.val.rows])
    assert unsure.any()
    assert np.isnan(task.val.targets[unsure]).all()


def test_a_soft_target_that_is_no_distribution_is_refused(manifest, monkeypatch):
    manifest.write_text(manifest.read_text().replace("left=0.8|right=0.2", "left=0.8|right=0.4"))
    with pytest.raises(ValueError, match=r"png: the soft target sums to 1\.2, not 1"):
        task_of(manifest, monkeypatch)


def test_sources_have_the_weight_and_the_smoothing_that_are_asked_for(manifest, monkeypatch):
    options = {"source_weight": ("north=0.25",), "source_balance": 1.0}
    task = task_of(manifest, monkeypatch, label_noise=("south=0.3",), label_smoothing=0.1, **options)
    north = np.array([row.source == "north" for row in task.train.rows])
    assert task.weights[north].sum() == pytest.approx(0.2)
    assert np.unique(task.criterion.smoothing[north]) == pytest.approx(0.1)
    assert np.unique(task.criterion.smoothing[~north]) == pytest.approx(0.3)


@pytest.mark.parametrize("value", ["east=0.5", "north", "north=x", "north=-1", "north=1.5"])
def test_a_source_or_a_number_that_cannot_be_meant_is_refused_with_the_sources(manifest, monkeypatch, value):
    with pytest.raises(ValueError, match=f"--label-noise '{value}' .* north, south"):
        task_of(manifest, monkeypatch, label_noise=(value,))


def test_the_even_average_is_that_of_the_last_quarter(manifest, monkeypatch):
    seen, update = [], loop.update_average

    def watched(average, network, decay):
        seen.append((network.fc.weight.detach().clone(), decay))
        update(average, network, decay)

    monkeypatch.setattr(loop, "update_average", watched)
    monkeypatch.setattr(train, "export_model", lambda config, spec, state, **_: state)
    options = {"average": "swa", "epochs": 1, "epoch_images": 64, "json": True}
    kept = train.train(Config(manifest=manifest, out=manifest.parent / "run", **TINY, **options))
    assert [decay for _, decay in seen] == pytest.approx([0, 0, 0, 0, 0, 0, 0, 0.5])
    assert torch.allclose(kept["fc.weight"], (seen[-1][0] + seen[-2][0]) / 2, atol=1e-6)


def write_predictions(path, rows, line="{},0.9,0.1"):
    path.write_text("\n".join(["image,p_left,p_right", *(line.format(row.image) for row in rows)]))
    return path


def test_a_teacher_has_its_share_of_the_loss_where_it_predicted(manifest, tmp_path, monkeypatch):
    rows = read_manifest(manifest)
    teacher = write_predictions(tmp_path / "teacher.csv", rows[::2])
    task = task_of(manifest, monkeypatch, teacher=teacher, teacher_weight=0.25)
    known = {row.image for row in rows[::2]}
    lacking = [row.image not in known for row in task.train.rows]
    assert torch.isnan(task.teacher).any(dim=1).tolist() == lacking
    logits, at = torch.zeros(4, 2), torch.arange(4)
    batch = (None, task.targets[:4], at, None)
    own, taught = task.criterion(logits, *batch[1:3]), distillation_of(logits, task.teacher[:4], 2.0).mean()
    assert taught > 0
    assert task.loss((logits, None), batch) == pytest.approx(float(0.75 * own + 0.25 * taught))


@pytest.mark.parametrize("line", ["{},0.9,0.9", "{},1.5,-0.5", "{},0.9,x", "{},0.9,"])
def test_a_prediction_that_is_none_is_stated_with_its_line(manifest, tmp_path, line):
    teacher = write_predictions(tmp_path / "teacher.csv", read_manifest(manifest), line)
    with pytest.raises(ValueError, match=r"teacher\.csv, line 2: "):
        read_teacher(teacher, read_manifest(manifest), ("left", "right"))


def test_a_teacher_without_predictions_of_these_images_is_refused(manifest, tmp_path):
    teacher = write_predictions(tmp_path / "teacher.csv", read_manifest(manifest), "other-{},0.9,0.1")
    with pytest.raises(ValueError, match="no prediction of an image of the train part"):
        read_teacher(teacher, read_manifest(manifest), ("left", "right"))
