"""Measures by origin and their summary, on simulated predictions."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from classifier.evaluation.evaluate import summary
from classifier.evaluation.model_card import check_about, render
from classifier.evaluation.operating.headline import headline
from classifier.evaluation.report import report
from tests.classifier.made_up import SPEC, cases_of, made_up

FIRST = replace(SPEC, decision="abnormal_first")


def rows(found, origin, finding):
    return next(row for row in found["origins"] if (row["origin"], row["finding"]) == (origin, finding))


@pytest.fixture(scope="module")
def north():
    return made_up(240, skill=1.5)[:2]


@pytest.fixture(scope="module")
def found(north):
    south = made_up(150, skill=0.5)[:2]
    cases = cases_of(*north, spec=FIRST) + cases_of(*south, spec=FIRST, source="south")
    return report(FIRST, cases, draws=100) | {"model": "tiny"}


def test_false_alarms_are_normal_images_above_the_threshold_of_the_finding(found, north):
    p, t = north
    row = rows(found, "north", "covid19")
    normal, present = t[:, 0] == 1, t[:, 2] == 1
    assert (row["normals"], row["present"]) == (normal.sum(), present.sum())
    assert row["images"] == normal.sum() + present.sum()
    assert row["false_alarms"]["value"] == pytest.approx((p[normal, 2] >= 0.4).mean())
    assert row["sensitivity"]["value"] == pytest.approx((p[present, 2] >= 0.4).mean())
    assert row["false_alarms"]["low"] < row["false_alarms"]["value"] < row["false_alarms"]["high"]
    chosen = normal | present
    expected = roc_auc_score(present[chosen], (np.log(p[:, 2] + 1e-12) - np.log(p[:, 0] + 1e-12))[chosen])
    assert row["auc"]["value"] == pytest.approx(expected)


def test_any_finding_counts_what_is_reported(found, north):
    p, t = north
    row = rows(found, "north", "any_finding")
    called = (p[:, 1:] >= 0.4).any(axis=1)
    assert row["false_alarms"]["value"] == pytest.approx(called[t[:, 0] == 1].mean())
    assert row["sensitivity"]["value"] == pytest.approx(called[t[:, 0] == 0].mean())


def test_no_alarm_on_a_few_images_is_no_proof_that_there_is_none():
    t = np.eye(3)[[0] * 12 + [2] * 12]
    p = np.where(t == 1, 0.9, 0.05)
    row = rows(report(SPEC, cases_of(p, t), draws=20), "north", "covid19")
    assert row["false_alarms"] == {"value": 0, "low": 0, "high": pytest.approx(1 - 0.025 ** (1 / 12))}
    assert row["sensitivity"]["low"] == pytest.approx(0.025 ** (1 / 12))


def test_an_origin_without_the_finding_has_false_alarms_only():
    p, t = made_up(60)[:2]
    t = np.eye(3)[[0] * 50 + [1] * 10]
    row = rows(report(SPEC, cases_of(p, t), draws=20), "north", "covid19")
    assert (row["auc"], row["sensitivity"], row["present"]) == (None, None, 0)
    assert row["false_alarms"]["value"] > 0


def test_the_card_has_a_dash_for_a_measure_that_no_origin_has():
    p = made_up(60)[0]
    t = np.eye(3)[[0] * 50 + [1] * 10]
    found = report(SPEC, cases_of(p, t), draws=20)
    assert re.search(
        r"\| mean \| COVID-19 \| \d+ \| - \| 0\.\d{3} \| - \|", render({"evaluation": found}, SPEC)
    )


def test_the_worst_origin_is_named_and_the_mean_is_of_origins_not_images(found):
    worst = found["across_origins"]["covid19"]
    values = {name: rows(found, name, "covid19")["auc"]["value"] for name in ("north", "south")}
    assert worst["origins"] == 2
    assert worst["auc"]["origin"] == min(values, key=values.get) == "south"
    assert worst["auc"]["mean"] == pytest.approx(np.mean(list(values.values())))
    alarms = [rows(found, name, "covid19")["false_alarms"]["value"] for name in ("north", "south")]
    assert worst["false_alarms"]["value"] == max(alarms)


def test_the_text_summary_lists_origins_and_the_worst(found):
    text = summary(found)
    assert "north: COVID-19 vs. normal: AUC" in text
    assert "Worst origin of 2: COVID-19: AUC" in text


ELSEWHERE = {
    "origin": "unseen",
    "finding": "covid19",
    "images": 90,
    "auc": {"value": 0.75, "low": 0.6, "high": 0.9},
    "false_alarms": {"value": 0.125, "low": None, "high": None},
}


def test_the_headline_has_home_one_origin_and_an_unseen_origin(found):
    card = {"evaluation": found, "about": {"elsewhere": [ELSEWHERE]}}
    lines = [line for line in headline(card) if line["finding"] == "covid19"]
    assert [line["setting"] for line in lines] == ["home", "within_one_origin", "unseen_origin"]
    home, within, unseen = lines
    assert home["images"] == sum(row["images"] for row in found["origins"] if row["finding"] == "covid19")
    assert within["auc"]["origin"] == "south"
    assert (unseen["auc"]["value"], unseen["auc"]["origin"], unseen["sensitivity"]) == (0.75, "unseen", None)
    text = render(card, SPEC)
    assert (
        "| COVID-19 | unseen origin, the worst | 90 | 1 "
        "| 0.750 (0.600 to 0.900), unseen | 0.125, unseen | - |" in text
    )
    assert "| unseen | COVID-19 | 90 | 0.750 (0.600 to 0.900) | 0.125 | - |" in text


def test_a_card_without_figures_from_elsewhere_says_so(found):
    assert "| COVID-19 | unseen origin, the worst | - | not measured | - | - | - |" in render(
        {"evaluation": found}, SPEC
    )
    assert headline({}) == headline({"evaluation": {"overall": {}}}) == []


@pytest.mark.parametrize(
    "change",
    [{"origin": None}, {"images": "90"}, {"auc": 0.7}, {"auc": {"value": 7}}, {"colour": "red"}],
)
def test_malformed_figures_from_elsewhere_are_refused(change):
    assert check_about({"elsewhere": [ELSEWHERE]})
    with pytest.raises(ValueError, match="elsewhere"):
        check_about({"elsewhere": [ELSEWHERE | change]})
