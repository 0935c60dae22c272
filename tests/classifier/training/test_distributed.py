"""Several processes train one network: by the same loop, to the same weights, with one voice."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from classifier.artifact.weights import load_artifact
from classifier.training.config import Config
from classifier.training.distributed import Distributed
from classifier.training.train import processes_for
from tests.classifier.collection import write_boxes, write_collection

ROOT = Path(__file__).resolve().parents[3]
TINY = "--layers 1,1,1,1 --width 4 --size 64 --no-progressive --batch 8 --device cpu --threads 1 --json"


def test_one_process_has_the_whole_batch_and_its_own_numbers():
    processes = Distributed("cpu")
    assert processes.is_main
    assert processes.shard(np.arange(6)).tolist() == list(range(6))
    assert processes.broadcast(1.5, 2.0) == (1.5, 2.0)


@pytest.mark.parametrize(
    "changes", [{"folds": 5, "fold": 1}, {"freeze": 0.2}, {"group_robust": 0.01}, {"batch": 31}]
)
def test_what_several_devices_cannot_follow_is_refused(changes):
    config = Config(manifest=Path("m.csv"), out=Path("out"), devices=2)
    with pytest.raises(ValueError, match="--devices 2 cannot be combined with --"):
        processes_for(replace(config, **changes))


@pytest.mark.skipif(torch.cuda.is_available(), reason="there may be enough of them")
def test_more_gpus_than_there_are_is_stated_in_words():
    pytest.importorskip("lightning_fabric")
    with pytest.raises(ValueError, match="'cuda' is not available"):
        Distributed("cuda", 9)


@pytest.mark.slow
def test_two_processes_learn_together_and_speak_once(tmp_path):
    pytest.importorskip("lightning_fabric")
    manifest, out = write_collection(tmp_path / "images"), tmp_path / "run"
    command = [sys.executable, "-m", "classifier", "train", "--manifest", str(manifest), "--out", str(out)]
    command += [*TINY.split(), "--devices", "2", "--epochs", "5", "--epoch-images", "160"]
    command += ["--lr", "5e-3", "--ema", "0.9", "--shortcuts", "0"]
    command += ["--boxes", str(write_boxes(manifest)), "--box-loss", "0.5"]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=300)
    assert ran.returncode == 0, ran.stderr
    stated = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
    assert [line["epoch"] for line in stated if line["event"] == "epoch"] == [1, 2, 3, 4, 5]
    assert ran.stdout.count('"event": "done"') == 1
    model = load_artifact(out / "model.safetensors")
    assert model.card["evaluation"]["overall"]["macro_auc"]["value"] > 0.9
