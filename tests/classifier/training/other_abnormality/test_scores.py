"""The limit, the shares and the candidate scores of other abnormalities, on made-up features."""

from __future__ import annotations

import json

import numpy as np
import pytest

from classifier.training.other_abnormality.cases import Cases
from classifier.training.other_abnormality.fit import COST, COST_REPORTED, fit, limit_of, out_of_fold
from classifier.training.other_abnormality.scores import CANDIDATES, Subspace, even_weights

CHANNELS = 24


def cases(count: int = 600, *, apart: float = 3.0, seed: int = 0) -> Cases:
    """Two findings and other abnormalities, apart along three axes; half of all are reported as a finding.

    Origin a has all kinds, b known findings only; two images of each patient.
    """
    rng = np.random.default_rng(seed)
    kind = np.arange(count) % 3
    pooled = rng.normal(size=(count, CHANNELS)) + apart * np.eye(CHANNELS)[kind]
    sources = np.where((np.arange(count) % 4 == 0) & (kind != 2), "b", "a")
    return Cases(
        pooled=pooled.astype(np.float32),
        logits=(3 * pooled[:, :2]).astype(np.float32),
        findings=np.array(["normal", "pneumonia", ""])[kind],
        other=kind == 2,
        reported=rng.random(count) < 0.5,
        sources=sources,
        patients=np.array([f"p{i // 6 * 3 + i % 3}" for i in range(count)]),
        parts=np.where(kind == 2, "", np.where(rng.random(count) < 0.5, "train", "val")),
    )


@pytest.mark.parametrize("name", CANDIDATES)
def test_every_candidate_ranks_other_abnormalities_higher(name):
    found = fit(cases(apart=6.0), draws=20).report["candidates"][name]
    assert found["auc"]["a"]["value"] > 0.75
    assert found["all"]["not_withheld"]["value"] < found["all"]["reported"]["value"]


def test_a_score_that_learned_nothing_finds_nothing():
    found = fit(cases(apart=0.0), draws=20).report["candidates"]["head"]
    assert found["auc"]["a"]["value"] == pytest.approx(0.5, abs=0.1)


def test_the_stored_score_is_that_of_its_report():
    data = cases()
    fitted = fit(data, draws=20)
    withheld = np.array([fitted.score.score(row) > fitted.limit for row in data.pooled]) & data.reported
    assert withheld[data.other].mean() == pytest.approx(
        fitted.report["candidates"]["head"]["all"]["withheld"]["value"], abs=0.05
    )
    assert withheld[data.held_out].mean() == pytest.approx(
        fitted.report["known"]["all"]["withheld"]["value"], abs=0.03
    )
    json.dumps(fitted.report, allow_nan=False)


@pytest.mark.parametrize("share", [1.0, 0.2])
def test_the_limit_keeps_the_cost_of_known_images(share):
    data = cases(3000)
    data = Cases(**{**vars(data), "reported": np.random.default_rng(5).random(3000) < share})
    scores = np.random.default_rng(3).normal(size=3000)
    above = (scores > limit_of(data, scores)) & data.reported
    held = data.held_out
    most = min(COST, COST_REPORTED * share)
    assert above[held].mean() == pytest.approx(most, abs=0.01)


def test_without_a_reported_finding_nothing_is_withheld():
    data = cases()
    data = Cases(**{**vars(data), "reported": np.zeros(600, bool)})
    assert fit(data, draws=20).limit == 1.0


def test_a_patient_is_never_scored_by_a_fit_that_saw_them():
    seen = []

    def make(some, subspace):
        seen.append(set(some.patients))
        return lambda new: (seen[-1].isdisjoint(new.patients) or pytest.fail("seen")) * np.ones(len(new))

    data = cases()
    assert out_of_fold(data, Subspace.of(data.pooled), make, seed=0).all()
    assert len(seen) == 5


def test_each_origin_is_also_scored_by_a_fit_without_it():
    data = cases()
    sources = np.where((np.arange(600) % 5 == 0) & (data.sources == "a"), "c", data.sources)
    a, b, c = fit(Cases(**{**vars(data), "sources": sources}), draws=20).report["left_out"]
    assert [left["source"] for left in (a, b, c)] == ["a", "b", "c"]
    assert "other" in a
    assert "other" in c
    assert "other" not in b
    assert c["other"]["withheld"]["value"] > c["known"]["withheld"]["value"]


def test_both_sides_count_the_same():
    data = cases()
    weights = even_weights(data)
    assert weights[data.other].sum() == pytest.approx(weights[~data.other].sum())
    assert weights.sum() == pytest.approx(len(data))


def test_known_images_of_the_train_part_alone_set_no_limit():
    data = cases()
    learned = Cases(**{**vars(data), "parts": np.where(data.other, "", "train")})
    with pytest.raises(ValueError, match="outside the train part"):
        fit(learned, draws=20)


def test_the_axes_have_unit_variance():
    data = cases()
    z = Subspace.of(data.pooled)(data)
    assert z.shape == (600, CHANNELS)
    assert np.allclose(z.std(axis=0), 1, atol=0.05)
    assert np.allclose(np.corrcoef(z.T), np.eye(CHANNELS), atol=0.05)
