"""`train --tune`: hyperparameters by trials on the validation part, resumable after a kill."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from classifier.__main__ import main
from classifier.artifact.weights import load_artifact
from classifier.training import tune
from classifier.training.config import Config
from classifier.training.run_log import RunLog
from tests.classifier.collection import write_collection

pytest.importorskip("optuna")

TINY = (
    "--layers 1,1,1,1 --width 4 --size 64 --no-progressive --batch 8 --epochs 3 --epoch-images 16 --lr 5e-3"
)
REST = "--ema 0.9 --name tiny --device cpu --threads 1 --json"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory) -> Path:
    return write_collection(tmp_path_factory.mktemp("images"), patients=24)


@pytest.fixture
def config(tmp_path) -> Config:
    return Config(
        manifest=tmp_path / "m.csv", out=tmp_path, size=128, lr=1e-3, epochs=20, tune=9, resume=True
    )


class Landscape:
    """Stands for training: the loss depends on learning rate and size, and falls from epoch to epoch."""

    def __init__(self, fails_at: int | None = None) -> None:
        self.runs: list[Config] = []
        self.fails_at = fails_at

    def __call__(self, config: Config, on_score: tune.OnScore) -> float:
        self.runs.append(config)
        loss = abs(config.lr - 2e-3) * 100 + (config.size != 160) * 0.2
        for epoch in range(1, config.epochs + 1):
            if len(self.runs) == self.fails_at:
                raise KeyboardInterrupt
            on_score(epoch, loss + 1 / epoch)
        return loss + 1 / config.epochs


def search(config: Config, run: tune.Run, **options: object) -> Config:
    log = RunLog(config.out / "log.jsonl")
    return tune.search(config, run, **{"split": "a", "checkpoint": config.out / "c", "log": log, **options})


def events(config: Config, name: str) -> list[dict]:
    return RunLog(config.out / "log.jsonl").events(name)


def test_the_best_trial_gives_the_values_and_the_first_has_those_as_given(config) -> None:
    run = Landscape()
    chosen = search(config, run)
    assert (run.runs[0].lr, run.runs[0].size, run.runs[0].dropout) == (config.lr, config.size, config.dropout)
    assert {one.size for one in run.runs} <= {96, 128, 160}
    assert all(0.5 <= one.augment <= 2 for one in run.runs)
    assert len({one.augment for one in run.runs}) > 5
    assert {one.epochs for one in run.runs} == {4}
    losses = {one.lr: abs(one.lr - 2e-3) * 100 + (one.size != 160) * 0.2 for one in run.runs}
    assert chosen.lr == min(losses, key=losses.__getitem__)
    assert chosen.epochs == config.epochs


def test_trials_that_lag_behind_are_cut_and_every_trial_is_reported(config) -> None:
    search(config, Landscape())
    (found,) = events(config, "tuned")
    trials = found["trials"]
    assert [trial["trial"] for trial in trials] == list(range(9))
    assert any(trial["pruned"] for trial in trials)
    assert all(trial["epochs"] < 4 for trial in trials if trial["pruned"])
    assert all(trial["epochs"] == 4 for trial in trials if not trial["pruned"])
    assert min(trials, key=lambda trial: trial["val_loss"])["trial"] == found["best"]
    assert sum(found["importance"].values()) == pytest.approx(1)
    assert [line["pruned"] for line in events(config, "trial")] == [trial["pruned"] for trial in trials]


def test_a_time_limit_is_shared_out_like_the_epochs(config) -> None:
    run = Landscape()
    search(replace(config, max_minutes=30.0, tune=1), run)
    assert run.runs[0].max_minutes == pytest.approx(6)


def test_a_search_that_is_cut_off_goes_on_where_it_was(config) -> None:
    first, second = Landscape(fails_at=2), Landscape()
    with pytest.raises(KeyboardInterrupt):
        search(config, first)
    search(config, second)
    assert second.runs[0].lr == first.runs[-1].lr, "the trial that was cut off runs again"
    assert len(first.runs) - 1 + len(second.runs) == 9
    rates = [run.lr for run in (*first.runs[:-1], *second.runs)]
    assert len(set(rates)) == 9, "nothing is drawn twice"
    assert len(events(config, "tuned")[-1]["trials"]) == 9


def test_a_finished_search_runs_nothing_and_keeps_what_followed(config) -> None:
    config = replace(config, tune=2)
    search(config, Landscape())
    (config.out / "c").touch()
    again = Landscape()
    search(config, again)
    assert again.runs == []
    assert (config.out / "c").exists()


def test_more_trials_outdate_the_training_that_followed(config) -> None:
    search(replace(config, tune=2), Landscape())
    (config.out / "c").touch()
    more = Landscape()
    search(replace(config, tune=4), more)
    assert len(more.runs) == 2
    assert not (config.out / "c").exists()


@pytest.mark.parametrize(
    ("change", "split", "why"),
    [
        ({"resume": False}, "a", "resume it with --resume"),
        ({"batch": 64}, "a", "other data or options"),
        ({}, "b", "other data or options"),
    ],
)
def test_another_search_is_not_continued(config, change, split, why) -> None:
    config = replace(config, tune=1)
    search(config, Landscape())
    with pytest.raises(ValueError, match=why):
        search(replace(config, **change), Landscape(), split=split)


def test_without_the_package_the_option_says_what_to_install(config, monkeypatch) -> None:
    monkeypatch.setitem(sys.modules, "optuna", None)
    with pytest.raises(ValueError, match="pip install optuna"):
        search(config, Landscape())


def test_the_chosen_values_are_trained_and_the_card_has_the_search(manifest, tmp_path, capsys) -> None:
    out = tmp_path / "run"
    command = f"train --manifest {manifest} --out {out} {TINY} {REST} --tune 3"
    assert main(command.split()) == 0
    card = (out / "model-card.md").read_text()
    model = load_artifact(out / "model.safetensors")
    facts = model.card["training"]
    assert facts["options"]["lr"] == facts["search"]["chosen"]["lr"]
    assert model.spec.size == facts["search"]["chosen"]["size"]
    assert len(facts["history"]) == 3, "epochs of the trials are not part of the training's"
    assert "3 trials of at most 3 epochs chose these values" in card
    assert "| trial | epochs | validation loss | lr | augment | dropout | size |" in card


def test_a_killed_search_goes_on_when_it_is_started_again(manifest, tmp_path) -> None:
    out = tmp_path / "run"
    command = f"{sys.executable} -m classifier train --manifest {manifest} --out {out} {TINY} {REST} --tune 5"
    log = RunLog(out / "log.jsonl")
    killed = subprocess.Popen(command.split(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while len(log.events("trial")) < 2:
        assert killed.poll() is None
        time.sleep(0.05)
    os.kill(killed.pid, signal.SIGKILL)
    killed.wait()
    before = log.events("trial")
    subprocess.run([*command.split(), "--resume"], check=True, capture_output=True)
    (found,) = log.events("tuned")
    assert len(found["trials"]) == 5
    assert [trial["lr"] for trial in found["trials"][:2]] == [line["lr"] for line in before[:2]]
    assert len(log.events("trial")) == 5, "no finished trial ran again"
    assert json.loads((out / "evaluation.json").read_text())["cases"] > 0
