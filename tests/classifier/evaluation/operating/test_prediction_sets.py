"""Prediction sets: coverage on new images, against an independent computation, and what is made of them."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pytest

from classifier.cli.inference.predict import line_of
from classifier.contract import ModelSpec, PredictionSet, findings_in_text, predict_from
from classifier.evaluation.evaluate import summary
from classifier.evaluation.model_card import render
from classifier.evaluation.operating.prediction_sets import fit_floors
from classifier.evaluation.report import Table, report
from tests.classifier.made_up import FINDINGS, SPEC, cases_of

RNG = np.random.default_rng(3)
SETS = replace(SPEC, set_coverage=0.9, set_floors={"normal": 0.3, "pneumonia": 0.25, "covid19": 0.2})


def results(count: int, shares=(1 / 3, 1 / 3, 1 / 3)) -> tuple[np.ndarray, np.ndarray]:
    drawn = RNG.choice(3, count, p=shares)
    logits = RNG.normal(0, 1, (count, 3)) + 1.5 * np.eye(3)[drawn]
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, np.eye(3)[drawn]


def covered(p, t, floors) -> np.ndarray:
    inside = p >= np.array([floors[f] for f in FINDINGS])
    return (inside & (t == 1)).any(axis=1)


@pytest.mark.parametrize("coverage", [0.8, 0.9, 0.95])
def test_sets_hold_the_finding_as_often_as_stated_however_common_it_is(coverage):
    rare = (0.8, 0.15, 0.05)
    found = []
    for _ in range(60):
        floors = fit_floors(*results(300), FINDINGS, coverage)
        p, t = results(900, rare)
        found.append([covered(p, t, floors)[t[:, k] == 1].mean() for k in range(3)])
    assert np.mean(found, axis=0) == pytest.approx(coverage, abs=0.015)


@pytest.mark.parametrize("count", [40, 200, 333])
def test_floors_agree_with_the_conformal_quantile_of_the_scores(count):
    """The score is 1 - p(true); its ceil((n + 1)(1 - alpha))-th smallest value bounds the set."""
    p, t = results(count)
    floors = fit_floors(p, t, FINDINGS)
    for k, finding in enumerate(FINDINGS):
        scores = 1 - p[t[:, k] == 1, k]
        rank = math.ceil((len(scores) + 1) * 0.9 - 1e-9)
        expected = 1 - np.quantile(scores, (rank - 0.5) / len(scores), method="inverted_cdf")
        assert floors[finding] == pytest.approx(expected, abs=1e-12)


@pytest.mark.parametrize(("count", "always"), [(0, True), (8, True), (9, False)])
def test_a_finding_with_too_few_images_is_in_every_set(count, always):
    p, t = np.full((count + 20, 2), 0.5), np.repeat([[1, 0], [0, 1]], [20, count], axis=0)
    assert (fit_floors(p, t, ("normal", "opacity"))["opacity"] == 0) == always


@pytest.mark.parametrize(
    ("probabilities", "findings"),
    [
        ((0.9, 0.06, 0.04), ("normal",)),
        ((0.05, 0.45, 0.5), ("covid19", "pneumonia")),
        ((0.34, 0.33, 0.33), ("normal", "pneumonia", "covid19")),
    ],
)
def test_a_prediction_carries_its_set_most_probable_first(probabilities, findings):
    prediction = predict_from(SETS, dict(zip(FINDINGS, probabilities, strict=True)))
    assert prediction.prediction_set == PredictionSet(findings, 0.9)


def test_a_set_never_contradicts_the_reported_finding_and_is_never_empty():
    high = replace(SETS, set_floors=dict.fromkeys(FINDINGS, 0.95))
    p = dict(zip(FINDINGS, (0.6, 0.3, 0.1), strict=True))
    assert predict_from(high, p).prediction_set.findings == ("normal",)
    sensitive = replace(high, decision="abnormal_first", thresholds=dict.fromkeys(FINDINGS, 0.2))
    assert predict_from(sensitive, p).prediction_set.findings == ("normal", "pneumonia")


def test_models_without_sets_give_none_and_report_none():
    prediction = predict_from(SPEC, dict(zip(FINDINGS, (0.9, 0.06, 0.04), strict=True)))
    assert prediction.prediction_set is None
    found = report(SPEC, cases_of(*results(30)), draws=5)
    assert found["prediction_sets"] is None
    assert "Prediction sets" not in render({"evaluation": found}, SPEC)


@pytest.fixture(scope="module")
def found():
    cases = cases_of(*results(300), spec=SETS) + cases_of(*results(90), spec=SETS, source="south")
    return report(SETS, cases, draws=50) | {"model": "tiny"}, Table.of(SETS, cases)


def test_coverage_and_size_are_reported_overall_by_finding_and_by_origin(found):
    found, table = found
    sets = found["prediction_sets"]
    hit = (table.sets * table.t).sum(axis=1)
    south = table.groups["source"] == "south"
    assert sets["stated"] == 0.9
    assert sets["overall"]["coverage"]["value"] == pytest.approx(hit.mean())
    assert sets["overall"]["mean_size"]["value"] == pytest.approx(table.sets.sum() / 390)
    assert sets["overall"]["single"]["value"] == pytest.approx((table.sets.sum(axis=1) == 1).mean())
    assert sets["origins"]["south"]["images"] == 90
    assert sets["origins"]["south"]["coverage"]["value"] == pytest.approx(hit[south].mean())
    assert sets["findings"]["covid19"]["coverage"]["value"] == pytest.approx(hit[table.t[:, 2] == 1].mean())
    assert sets["overall"]["coverage"]["low"] < sets["overall"]["coverage"]["high"]


def test_the_card_and_the_summary_state_coverage_by_origin(found):
    assert "south: coverage" in summary(found[0])
    text = render({"evaluation": found[0]}, SETS)
    assert "Normal 0.300, Pneumonia 0.250, COVID-19 0.200" in text
    assert "with a probability of 90 %" in text
    assert "| south | 90 | " in text


@pytest.mark.parametrize(
    ("findings", "text"),
    [
        (("covid19", "pneumonia"), "COVID-19 or pneumonia"),
        (("pneumonia", "covid19", "normal"), "Pneumonia, COVID-19 or normal"),
        (("normal",), "Normal"),
    ],
)
def test_a_set_reads_as_a_choice(findings, text):
    assert findings_in_text(findings) == text


def test_the_command_states_the_set_where_it_has_several_findings():
    record = {
        "file": "a.png",
        "status": "ok",
        "finding": None,
        "probabilities": {"covid19": 0.5, "pneumonia": 0.45},
        "prediction_set": {"findings": ("covid19", "pneumonia"), "coverage": 0.9},
        "warnings": [],
    }
    assert "no finding above its threshold; COVID-19 or pneumonia with 90 % coverage" in line_of(record)
    record["prediction_set"]["findings"] = ("covid19",)
    assert "coverage" not in line_of(record)


def test_sets_travel_with_the_spec():
    assert ModelSpec.from_json(SETS.to_json()) == SETS


@pytest.mark.parametrize(
    "change",
    [
        {"set_coverage": None},
        {"set_coverage": 1.5},
        {"set_coverage": "a"},
        {"set_floors": {"normal": 0.3}},
        {"set_floors": {"normal": 0.3, "pneumonia": 2, "covid19": 0.2}},
    ],
)
def test_malformed_sets_are_refused(change):
    text = json.loads(SETS.to_json()) | change
    with pytest.raises(ValueError):  # noqa: PT011
        ModelSpec.from_json(json.dumps(text))
