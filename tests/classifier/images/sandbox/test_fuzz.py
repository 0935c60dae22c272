"""Damaged files of every kind get an image or a coded refusal, never a surprise, a dead helper or a hang.

`python -m tests.classifier.images.fuzz` does the same for as long as one likes, with real files as well.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from classifier.errors import Refused
from classifier.images.limits import Limits
from classifier.images.sandbox.client import HelperFailed, ResourcesExhausted
from classifier.reasons import RefusalReason
from tests.classifier.images.fuzz.metered import Cost, MeteredHelper
from tests.classifier.images.fuzz.mutants import Mutant, Mutants
from tests.classifier.images.fuzz.seeds import Seed, made
from tests.classifier.images.fuzz.trial import Trial

NOT_READ = {
    "film.dcm": "unsupported_modality",
    "pages.tif": "unsupported_modality",
    "moving.webp": "unsupported_modality",
    "encrypted.zip": "undecodable",
    "link.zip": "not_an_image",
}


@pytest.fixture(scope="module")
def helper() -> Iterator[MeteredHelper]:
    with MeteredHelper() as started:
        yield started


@pytest.mark.parametrize("healthy", made(), ids=lambda seed: seed.name)
def test_every_healthy_file_gets_its_result(helper: MeteredHelper, healthy: Seed) -> None:
    trial = Trial(helper)
    trial.send(Mutant(healthy.name, 0, healthy.data))
    assert {code for code, _ in trial.figures.results} == {NOT_READ.get(healthy.name, "read")}
    assert not trial.figures.surprises


def run(helper: MeteredHelper, count: int, seed: int) -> Trial:
    trial, mutants = Trial(helper), Mutants(made(), seed)
    for number in range(count):
        trial.send(mutants[number])
    print(trial.figures.table())
    return trial


def test_a_damaged_file_is_read_or_refused(helper: MeteredHelper) -> None:
    figures = run(helper, count=100, seed=1).figures
    assert not figures.surprises
    codes = {code for code, _ in figures.results}
    assert codes >= {"read", "undecodable"}
    assert codes <= {"read", *RefusalReason}


@pytest.mark.slow
def test_a_thousand_damaged_files_neither_crash_nor_surprise_the_helper(helper: MeteredHelper) -> None:
    assert not run(helper, count=1000, seed=2).figures.surprises


def test_a_number_makes_the_same_file_again() -> None:
    assert Mutants(made(), 3)[17] == Mutants(made(), 3)[17]
    assert Mutants(made(), 3)[17] != Mutants(made(), 4)[17]


class Misbehaving(MeteredHelper):
    """ModelPredictions without reading: raises `error` and states that it cost `cost`."""

    def __init__(self, error: Exception, cost: Cost) -> None:
        super().__init__()
        self.error, self.cost = error, cost

    def parse(self, *args: object, **kwargs: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "cost", "surprise"),
    [
        (Refused(RefusalReason.UNDECODABLE, "the decoder crashed"), Cost(), False),
        (Refused(RefusalReason.UNDECODABLE, "unexpected KeyError"), Cost(), True),
        (Refused(RefusalReason.TOO_LARGE, ""), Cost(1.0, Limits().memory_bytes + 1), True),
        (ResourcesExhausted("took too long to read"), Cost(), True),
        (HelperFailed("does not start"), Cost(), True),
        (OSError(5, "input/output error"), Cost(), True),
        (ValueError(), Cost(), True),
    ],
)
def test_what_may_not_be_is_reported_and_the_file_kept(
    tmp_path: Path, error: Exception, cost: Cost, surprise: bool
) -> None:
    trial = Trial(Misbehaving(error, cost), tmp_path / "kept")
    trial.send(Mutant("1-0-x.png", 0, b"data"))
    assert bool(trial.figures.surprises) is surprise
    assert (tmp_path / "kept" / "1-0-x.png").exists() is surprise


def test_a_helper_that_was_replaced_is_reported() -> None:
    with MeteredHelper() as helper:
        trial, healthy = Trial(helper), Mutant("x", 0, made()[0].data)
        trial.send(healthy)
        assert not trial.figures.surprises
        os.kill(helper._process.pid, signal.SIGKILL)
        trial.send(healthy)
    assert trial.figures.surprises == ["x: the helper died"]
