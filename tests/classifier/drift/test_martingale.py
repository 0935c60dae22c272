"""The drift test keeps its stated rate of false alarms, and notices a change soon."""

from __future__ import annotations

import json

import numpy as np
import pytest

from classifier.drift import martingale

NAMES = tuple(f"number_{k}" for k in range(12))


def sample(seed: int, count: int, numbers: int = len(NAMES)) -> np.ndarray:
    """Skewed and dependent numbers on scales of their own, as pixel statistics are."""
    rng = np.random.default_rng(seed)
    mixed = rng.normal(size=(count, numbers)) @ np.random.default_rng(0).normal(size=(numbers, numbers))
    return np.exp(mixed / 4) * np.logspace(-3, 3, numbers)


def course(seed: int, stream: np.ndarray, *, reference: np.ndarray | None = None) -> martingale.Trajectory:
    reference = sample(1000 + seed, 400) if reference is None else reference
    names = NAMES[: reference.shape[1]]
    draws = np.random.default_rng(seed).random(len(stream))
    return martingale.run(martingale.fit_baseline(reference, names, seed=seed), stream, draws)


def test_p_values_are_uniform_and_independent_while_nothing_changes():
    ranks = np.concatenate(
        [
            martingale.p_values(
                sample(seed, 50, 1), sample(500 + seed, 200, 1), np.random.default_rng(seed).random(200)
            )
            for seed in range(100)
        ]
    )[:, 0]
    shares = np.histogram(ranks, bins=10, range=(0, 1))[0] / len(ranks)
    assert np.abs(shares - 0.1).max() < 0.01
    assert abs(np.corrcoef(ranks[:-1], ranks[1:])[0, 1]) < 0.02


def test_ties_are_broken_by_the_draws():
    calibration, stream = np.zeros((9, 1)), np.zeros((1, 1))
    assert martingale.p_values(calibration, stream, np.array([0.25]))[0, 0] == pytest.approx(0.25)
    assert martingale.p_values(calibration, stream + 1, np.array([0.5]))[0, 0] == pytest.approx(0.05)


def test_no_bet_can_be_expected_to_win():
    """By the substitution p = u^10, which the steepest wager is smooth after."""
    u = (np.arange(100_000) + 0.5) / 100_000
    ends = np.clip(u**10, 1e-9, 1), np.clip(1 - u**10, 0, 1 - 1e-9)
    won = np.max([(martingale._gains(ranks) * (10 * u**9)[:, None]).mean(axis=0) for ranks in ends], axis=0)
    assert (won < 1.0001).all()
    np.testing.assert_allclose(won, 1, atol=0.02)


def test_false_alarms_are_no_more_frequent_than_stated():
    alarms = sum(course(seed, sample(seed, 300)).alarm is not None for seed in range(120))
    assert alarms <= 5  # 1 in 100 at most: 6 or more of 120 would come once in 600 times


def test_capital_comes_to_nothing_on_the_mean_while_nothing_changes():
    ends = [course(seed, sample(seed, 100)).capital[-1] for seed in range(150)]
    assert np.mean(ends) < 2


@pytest.mark.parametrize("factor", [10.0, 0.1])
def test_one_number_that_changes_raises_the_alarm_and_is_named(factor):
    stream = sample(3, 300)
    stream[200:, 7] *= factor
    found = course(3, stream)
    assert found.alarm is not None
    assert 200 <= found.alarm < 260
    assert abs(found.since - 200) < 20
    assert found.leading == "number_7"


def test_cases_that_are_new_in_all_their_numbers_together_are_seen_by_their_distance():
    """Each number alone looks as before: only their relation is gone."""
    rng = np.random.default_rng(5)
    line = rng.normal(size=(900, 1)) + rng.normal(scale=0.05, size=(900, 2))
    apart = rng.permuted(line[500:], axis=0)
    found = course(5, np.concatenate([line[400:500], apart]), reference=line[:400])
    assert found.leading == martingale.DISTANCE
    assert 100 <= found.alarm < 130


@pytest.mark.parametrize(("before", "after"), [(0.05, 0.3), (0.4, 0.05)])
def test_a_rate_that_rises_or_falls_is_a_change(before, after):
    rng = np.random.default_rng(11)
    reference = (rng.random((500, 1)) < before).astype(float)
    stream = np.concatenate([rng.random((100, 1)) < before, rng.random((200, 1)) < after]).astype(float)
    found = martingale.run(martingale.fit_baseline(reference, ["abstained"]), stream, rng.random(300))
    assert found.alarm is not None
    assert found.alarm > 100
    assert found.leading == "abstained"


def test_the_same_cases_have_the_same_course_and_later_ones_change_nothing_of_it():
    stream, draws = sample(8, 120), np.random.default_rng(8).random(120)
    reference = martingale.fit_baseline(sample(9, 200), NAMES)
    whole, part = (
        martingale.run(reference, stream, draws),
        martingale.run(reference, stream[:70], draws[:70]),
    )
    np.testing.assert_allclose(whole.capital[:70], part.capital)


def test_a_reference_goes_through_json():
    reference = martingale.fit_baseline(sample(1, 150), NAMES)
    again = martingale.Baseline.from_dict(json.loads(json.dumps(reference.as_dict())))
    stream, draws = sample(2, 30), np.full(30, 0.5)
    np.testing.assert_allclose(
        martingale.run(again, stream, draws).capital, martingale.run(reference, stream, draws).capital
    )
    alone = martingale.fit_baseline(sample(1, 150, 1), NAMES[:1])
    assert martingale.Baseline.from_dict(json.loads(json.dumps(alone.as_dict()))).score_names == NAMES[:1]


def test_a_reference_of_too_few_or_unknown_cases_is_refused():
    with pytest.raises(ValueError, match="at least 100"):
        martingale.fit_baseline(sample(1, 99), NAMES)
    holes = sample(1, 150)
    holes[3, 3] = np.nan
    with pytest.raises(ValueError, match="missing or non-finite numbers"):
        martingale.fit_baseline(holes, NAMES)


def test_a_number_that_never_varied_is_a_change_when_it_does():
    reference, stream = sample(1, 300), sample(2, 80)
    reference[:, 2] = stream[:40, 2] = 1.0
    found = course(1, stream, reference=reference)
    assert found.alarm is not None
    assert 40 <= found.alarm < 60


def test_a_round_without_cases_has_won_nothing():
    found = martingale.run(
        martingale.fit_baseline(sample(1, 150), NAMES), np.empty((0, len(NAMES))), np.empty(0)
    )
    assert (found.alarm, len(found.capital)) == (None, 0)
