"""Every measure against scikit-learn's, on random returns with ties, weights and a rare finding."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as reference
from sklearn.linear_model import LogisticRegression

from classifier.evaluation import metrics
from classifier.evaluation.curves import curves, reliability
from tests.classifier.made_up import FINDINGS, made_up

SHARES = [(1 / 3, 1 / 3, 1 / 3), (0.8, 0.17, 0.03)]


@pytest.fixture(params=SHARES, ids=["even", "rare"])
def results(request):
    return made_up(400, shares=request.param)


def test_measures_of_all_findings_agree_with_scikit_learn(results):
    p, t, w = results
    y_true, text = t.argmax(1), p.argmax(1)
    weighted = {"sample_weight": w}
    assert metrics.accuracy(p, t, w) == pytest.approx(reference.accuracy_score(y_true, text, **weighted))
    expected = reference.balanced_accuracy_score(y_true, text, **weighted)
    assert metrics.balanced_accuracy(p, t, w) == pytest.approx(expected)
    expected = reference.f1_score(y_true, text, average="macro", **weighted)
    assert metrics.macro_f1(p, t, w) == pytest.approx(expected)
    assert metrics.confusion(p, t) == reference.confusion_matrix(y_true, text).tolist()
    expected = reference.log_loss(y_true, p + 1e-9, **weighted)
    assert metrics.log_loss(p + 1e-9, t, w) == pytest.approx(expected, rel=1e-5)
    expected = reference.roc_auc_score(y_true, p, multi_class="ovr", average="macro", **weighted)
    assert metrics.macro_auc(p, t, w) == pytest.approx(expected)
    briers = [reference.brier_score_loss(t[:, k], p[:, k], **weighted) for k in range(3)]
    assert metrics.brier(p, t, w) == pytest.approx(sum(briers))


def test_rankings_of_each_finding_agree_with_scikit_learn(results):
    p, t, w = results
    for k in range(3):
        expected = reference.roc_auc_score(t[:, k], p[:, k], sample_weight=w)
        assert metrics.auc(p[:, k], t[:, k], w) == pytest.approx(expected)
        expected = reference.average_precision_score(t[:, k], p[:, k], sample_weight=w)
        assert metrics.average_precision(p[:, k], t[:, k], w) == pytest.approx(expected)


def test_decisions_agree_with_scikit_learn(results):
    p, t, w = results
    for k in range(3):
        given, text, y_true = metrics.decisions(p[:, k], t[:, k], w, 0.4), p[:, k] >= 0.4, t[:, k]
        weighted = {"sample_weight": w}
        assert given["sensitivity"] == pytest.approx(reference.recall_score(y_true, text, **weighted))
        expected = reference.recall_score(y_true, text, pos_label=0, **weighted)
        assert given["specificity"] == pytest.approx(expected)
        assert given["ppv"] == pytest.approx(reference.precision_score(y_true, text, **weighted))
        expected = reference.precision_score(y_true, text, pos_label=0, **weighted)
        assert given["npv"] == pytest.approx(expected)
        assert given["f1"] == pytest.approx(reference.f1_score(y_true, text, **weighted))
        assert given["accuracy"] == pytest.approx(reference.accuracy_score(y_true, text, **weighted))
        expected = reference.balanced_accuracy_score(y_true, text, **weighted)
        assert given["balanced_accuracy"] == pytest.approx(expected)


def test_slope_and_intercept_are_those_of_a_logistic_regression(results):
    p, t, w = results
    for k in range(3):
        odds = np.log(np.clip(p[:, k], 1e-7, 1 - 1e-7) / np.clip(1 - p[:, k], 1e-7, 1))
        fitted = LogisticRegression(C=np.inf, tol=1e-10, max_iter=1000).fit(odds[:, None], t[:, k], w)
        slope, intercept = metrics.recalibration(p[:, k], t[:, k], w)
        assert slope == pytest.approx(fitted.coef_[0, 0], rel=1e-3)
        assert intercept == pytest.approx(fitted.intercept_[0], rel=1e-3, abs=1e-3)


def test_findings_that_are_distinguished_perfectly_have_no_slope():
    scores, y_true = np.array([0.1, 0.2, 0.8, 0.9]), np.array([0, 0, 1, 1])
    assert np.isnan(metrics.recalibration(scores, y_true, np.ones(4))).all()


def test_values_at_a_prevalence_are_those_of_a_population_with_it():
    scores, y_true = np.array([0.9] * 3 + [0.1] + [0.9] + [0.1] * 3), np.array([1] * 4 + [0] * 4)
    weights = np.where(y_true == 1, 0.02 / 4, 0.98 / 4)
    there = metrics.decisions(scores, y_true, weights, 0.5)
    here = metrics.decisions(scores, y_true, np.ones(8), 0.5)
    found = metrics.at_prevalence(here["sensitivity"], here["specificity"], 0.02)
    assert found == pytest.approx({"ppv": there["ppv"], "npv": there["npv"]})
    assert found["ppv"] < here["ppv"] / 10


def test_the_calibration_error_is_the_gap_between_probability_and_share():
    sure = np.array([0.75] * 4 + [0.95] * 4)
    right = np.array([1, 1, 1, 1, 1, 1, 0, 0])  # too timid, then too sure: in one bin they would cancel
    assert metrics.calibration_error(sure, right, np.ones(8)) == pytest.approx((0.25 + 0.45) / 2)
    p, t, _ = made_up(500)
    scores, y_true = off_the_edges(p[:, 0]), t[:, 0]
    share, mean = reference_reliability(scores, y_true)
    sizes = np.bincount(metrics.bins_of(scores), minlength=10)
    expected = (np.abs(share - mean) * sizes[sizes > 0]).sum() / 500
    assert metrics.calibration_error(scores, y_true, np.ones(500)) == pytest.approx(expected)


def off_the_edges(scores):
    """scikit-learn's bins are open below, ours above: they part over probabilities that lie on an edge."""
    return np.minimum(scores + 1e-9, 1)


def reference_reliability(scores, y_true):
    from sklearn.calibration import calibration_curve

    return calibration_curve(y_true, scores, n_bins=10)


def test_a_measure_of_nothing_is_not_a_number():
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([1, 1]), np.ones(2)))
    assert np.isnan(metrics.average_precision(np.array([0.1, 0.2]), np.array([0, 0]), np.ones(2)))
    assert np.isnan(metrics.decisions(np.array([0.1]), np.array([1]), np.ones(1), 0.5)["specificity"])


def test_many_draws_at_once_are_the_draws_one_by_one():
    p, t, _ = made_up(120)
    draws = np.random.default_rng(3).integers(0, 4, (5, 120)).astype(float)
    measures = {
        "auc": lambda w: metrics.auc(p[:, 1], t[:, 1], w),
        "average_precision": lambda w: metrics.average_precision(p[:, 1], t[:, 1], w),
        "npv": lambda w: metrics.decisions(p[:, 1], t[:, 1], w, 0.3)["npv"],
        "balanced_accuracy": lambda w: metrics.balanced_accuracy(p, t, w),
        "macro_f1": lambda w: metrics.macro_f1(p, t, w),
        "calibration_error": lambda w: metrics.calibration_error(p[:, 1], t[:, 1], w),
        "slope": lambda w: metrics.recalibration(p[:, 1], t[:, 1], w)[0],
        "log_loss": lambda w: metrics.log_loss(p, t, w),
    }
    for name, measure in measures.items():
        assert measure(draws) == pytest.approx([measure(w) for w in draws], rel=1e-6), name


def test_curves_are_scikit_learns(results):
    p, t, _ = results
    found = curves(FINDINGS, p, t, exclusive=True)
    for k, finding in enumerate(FINDINGS):
        fpr, tpr, _ = reference.roc_curve(t[:, k], p[:, k], drop_intermediate=False)
        assert farthest(found["roc"][finding], fpr, tpr) < 1e-4
        x, y = np.array(found["roc"][finding]).T
        assert np.trapezoid(y, x) == pytest.approx(reference.auc(fpr, tpr), abs=0.01)
        precision, recall, _ = reference.precision_recall_curve(t[:, k], p[:, k])
        assert farthest(found["precision_recall"][finding], recall, precision) < 1e-4
        assert found["reliability"][finding] == reliability(p[:, k], t[:, k])
        share, mean = reference_reliability(off_the_edges(p[:, k]), t[:, k])
        bins = reliability(off_the_edges(p[:, k]), t[:, k])
        assert [b["observed"] for b in bins] == pytest.approx(share)
        assert [b["mean"] for b in bins] == pytest.approx(mean)


def farthest(points, x, y) -> float:
    """The largest distance of a point from the nearest one of a reference curve."""
    return max(np.abs(np.stack([x, y], axis=1) - point).max(axis=1).min() for point in points)
