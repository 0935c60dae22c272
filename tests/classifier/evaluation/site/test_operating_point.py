"""Measures of thresholds on labelled scans, compared with scikit-learn and with counting."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import precision_score, recall_score

from classifier.contract import ModelSpec, Slot, predict_from
from classifier.evaluation.operating.thresholds import fit_operating_points
from classifier.evaluation.site.operating_point import (
    alarm_rates,
    clear_scans,
    curve,
    fewest_clear_scans,
    operating_points,
    reported,
    threshold_for,
    thresholds_shown,
    youden_threshold,
)

RNG = np.random.default_rng(0)
POSITIVE = RNG.uniform(size=300) < 0.3
SCORES = np.clip(RNG.normal(0.35 + 0.25 * POSITIVE, 0.15), 0.01, 0.99)
PATIENTS = np.arange(300) // 3
FINDINGS = ("normal", "pneumonia")


@pytest.mark.parametrize("threshold", [0.2, 0.45, 0.7])
def test_the_measures_are_those_of_scikit_learn(threshold):
    (found,) = curve(SCORES, POSITIVE, PATIENTS, [threshold])
    called = threshold <= SCORES
    assert found["threshold"] == threshold
    assert found["sensitivity"]["value"] == pytest.approx(recall_score(POSITIVE, called))
    assert found["specificity"]["value"] == pytest.approx(recall_score(~POSITIVE, ~called))
    assert found["ppv"]["value"] == pytest.approx(precision_score(POSITIVE, called))
    assert found["alarms"]["value"] == pytest.approx(100 * called.mean())
    for name in ("sensitivity", "specificity", "ppv", "alarms"):
        assert found[name]["low"] <= found[name]["value"] <= found[name]["high"]
        assert found[name]["low"] < found[name]["high"]


def test_alarms_at_a_stated_prevalence_by_hand():
    """Sensitivity 0.5 and specificity 0.9 at 2 %: 0.01 + 0.1 * 0.98 = 10.8 per 100; 1 in 10.8 is right."""
    scores = np.array([0.9, 0.1] + [0.9] + [0.1] * 9)
    positive = np.array([True, True] + [False] * 10)
    (found,) = curve(scores, positive, np.arange(12), [0.5], prevalence=0.02)
    assert found["alarms"]["value"] == pytest.approx(10.8)
    assert found["ppv"]["value"] == pytest.approx(0.01 / 0.108)


def test_scans_of_few_patients_give_wider_intervals():
    (alone,) = curve(SCORES, POSITIVE, np.arange(300), [0.45])
    (grouped,) = curve(np.repeat(SCORES[:30], 10), np.repeat(POSITIVE[:30], 10), np.arange(300) // 10, [0.45])
    width = {k: v["specificity"]["high"] - v["specificity"]["low"] for k, v in {0: alone, 1: grouped}.items()}
    assert width[1] > 2 * width[0]


def test_all_or_none_of_few_patients_is_no_certainty():
    """Ten of ten: Wilson's lower bound is 10 / (10 + 1.96 squared) = 0.722; the bootstrap would give 1."""
    scores, positive = np.r_[np.full(10, 0.9), np.full(30, 0.1)], np.arange(40) < 10
    (found,) = curve(scores, positive, np.arange(40), [0.5])
    assert found["sensitivity"] == {"value": 1.0, "low": pytest.approx(0.7225, abs=1e-3), "high": 1.0}
    assert found["specificity"]["low"] == pytest.approx(30 / (30 + 1.96**2), abs=1e-3)
    (twice,) = curve(scores, positive, np.arange(40) // 2, [0.5])
    assert twice["sensitivity"]["low"] == pytest.approx(5 / (5 + 1.96**2), abs=1e-3)


def test_without_a_scan_that_has_the_finding_there_is_no_sensitivity():
    (found,) = curve(SCORES, np.zeros(300, bool), PATIENTS, [0.5])
    assert found["sensitivity"] == {"value": None, "low": None, "high": None}
    assert found["specificity"]["value"] == pytest.approx((SCORES < 0.5).mean())


@pytest.mark.parametrize("rate", [0.02, 0.05, 0.1, 0.5])
def test_the_threshold_is_the_lowest_within_the_rate_of_false_alarms(rate):
    clear = SCORES[~POSITIVE]
    threshold = threshold_for(SCORES, ~POSITIVE, rate)
    below = SCORES[threshold > SCORES].max()
    for value, within in ((threshold, True), (below, False)):
        assert (((clear >= value).sum() + 1) / (len(clear) + 1) <= rate) is np.bool_(within)


def test_the_threshold_is_the_one_that_an_artifact_would_have():
    """Where no lower score separates findings: `without_loss` of the artifact only removes false alarms."""
    probabilities = np.stack([1 - SCORES, SCORES], axis=1)
    targets = np.stack([~POSITIVE, POSITIVE], axis=1).astype(int)
    origins = ["here"] * 300
    facts, _ = fit_operating_points(probabilities, targets, FINDINGS, origins, rate=0.1)
    ours = threshold_for(SCORES, ~POSITIVE, 0.1)
    theirs = facts["pneumonia"]["threshold"]
    assert ((ours <= SCORES) & POSITIVE).sum() == ((theirs <= SCORES) & POSITIVE).sum()
    normal = youden_threshold(1 - SCORES, ~POSITIVE)
    assert normal == pytest.approx(facts["normal"]["threshold"])


def test_ties_count_together():
    scores, clear = np.array([0.2, 0.5, 0.5, 0.5, 0.9]), np.array([True, True, True, False, False])
    assert threshold_for(scores, clear, 0.74) == pytest.approx(0.7)
    assert threshold_for(scores, clear, 0.75) == pytest.approx(0.35)
    assert threshold_for(scores, clear, 1.0) == pytest.approx(0.1)


@pytest.mark.parametrize(("rate", "needed"), [(0.1, 9), (0.05, 19), (0.5, 1)])
def test_a_rate_needs_enough_clear_scans(rate, needed):
    assert fewest_clear_scans(rate) == needed
    scores = np.linspace(0.1, 0.9, needed)
    assert threshold_for(scores, np.ones(needed, bool), rate) is not None
    assert threshold_for(scores, np.arange(needed) > 0, rate) is None


def test_false_alarms_are_those_on_normal_scans_and_for_normal_those_on_the_others():
    targets = np.array([[1, 0, 0], [0, 1, 0], [0, 0, 1], [0, 0, 0]])
    known = np.ones((4, 3), bool)
    known[3] = [False, True, True]
    three = ("normal", "pneumonia", "covid19")
    assert clear_scans(targets, known, three, "covid19").tolist() == [True, False, False, False]
    assert clear_scans(targets, known, three, "normal").tolist() == [False, True, True, False]
    without = clear_scans(targets[:, 1:], known[:, 1:], three[1:], "covid19")
    assert without.tolist() == [True, True, False, True]


def test_false_alarms_are_counted_among_the_clear_scans_only():
    scores, positive = np.array([0.9, 0.1, 0.8, 0.8, 0.1]), np.array([True, False, False, False, False])
    clear = np.array([False, True, False, True, True])
    (found,) = curve(scores, positive, np.arange(5), [0.5], clear=clear)
    assert found["false_alarms"]["value"] == pytest.approx(1 / 3)
    assert found["specificity"]["value"] == pytest.approx(1 / 2)


def test_the_curve_shows_the_chosen_threshold_too():
    shown = thresholds_shown(SCORES, ~POSITIVE, 0.4321)
    assert 0.4321 in shown
    assert (np.diff(shown) > 0).all()


@pytest.mark.parametrize("decision", ["highest", "abnormal_first"])
def test_the_reported_finding_is_the_one_of_a_prediction(decision):
    rows = RNG.dirichlet([1, 1, 1], 200)
    three, thresholds = ("normal", "pneumonia", "covid19"), {"normal": 0.4, "pneumonia": 0.3, "covid19": 0.5}
    spec = ModelSpec("x", Slot.CXR, three, thresholds=thresholds, decision=decision)
    expected = [predict_from(spec, dict(zip(three, row, strict=True))).finding for row in rows]
    named = [three[k] if k >= 0 else None for k in reported(rows, three, thresholds, decision)]
    assert named == expected
    assert None in named


def test_alarms_are_counted_as_the_reader_sees_them():
    probabilities = np.array([[0.5, 0.3], [0.5, 0.1], [0.7, 0.3], [0.2, 0.8]])
    targets = np.array([[1, 0], [1, 0], [1, 0], [0, 1]])
    known = np.ones((4, 2), bool)
    thresholds = {"normal": 0.6, "pneumonia": 0.2}
    labels = (targets, known, FINDINGS, thresholds, np.arange(4))
    found = alarm_rates(probabilities, *labels, decision="highest")
    assert found["all"]["value"] == pytest.approx(50)
    assert found["normal"]["value"] == pytest.approx(100 / 3)
    found = alarm_rates(probabilities, *labels, decision="abnormal_first")
    assert found["normal"]["value"] == pytest.approx(200 / 3)


def test_a_finding_that_nobody_labelled_has_no_operating_point():
    probabilities = np.stack([1 - SCORES, SCORES], axis=1)
    targets = np.stack([~POSITIVE, POSITIVE], axis=1).astype(int)
    known = np.ones((300, 2), bool)
    known[:, 0] = False
    thresholds = {"normal": 0.5, "pneumonia": 0.45}
    found = operating_points(probabilities, targets, known, FINDINGS, thresholds, PATIENTS)
    assert list(found) == ["pneumonia"]
    # Nor is any scan known to be normal.
    assert found["pneumonia"] == curve(SCORES, POSITIVE, PATIENTS, [0.45], clear=np.zeros(300, bool))[0]
    assert found["pneumonia"]["false_alarms"]["value"] is None
