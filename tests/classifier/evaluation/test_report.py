"""Intervals, groups, pairs, abstention and the written returns, on made-up predictions."""

from __future__ import annotations

import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from classifier.contract import ModelSpec, Slot, age_band, predict_from
from classifier.data.manifest import Row
from classifier.evaluation.predictions import Case, read_predictions, write_predictions
from classifier.evaluation.report import Table, describe, report
from tests.classifier.made_up import FINDINGS, RNG, SPEC, cases_of, made_up


def test_intervals_hold_the_measure_and_narrow_with_more_patients():
    few, many = (report(SPEC, cases_of(*made_up(n)[:2]), draws=60)["overall"]["accuracy"] for n in (60, 900))
    for measure in (few, many):
        assert measure["low"] < measure["value"] < measure["high"]
    assert many["high"] - many["low"] < (few["high"] - few["low"]) / 2


def test_an_interval_is_as_wide_as_theory_has_it():
    p, t, _ = made_up(1000)
    found = report(SPEC, cases_of(p, t), draws=400)["overall"]["accuracy"]
    width = 2 * 1.96 * np.sqrt(found["value"] * (1 - found["value"]) / 1000)
    assert found["high"] - found["low"] == pytest.approx(width, rel=0.2)


def test_copies_of_a_patients_image_do_not_narrow_the_interval():
    p, t, _ = made_up(80)
    once = report(SPEC, cases_of(p, t, patients=[f"p{i}" for i in range(80)]), draws=60)
    copies = [f"p{i}" for i in range(80)] * 5
    often = report(SPEC, cases_of(np.tile(p, (5, 1)), np.tile(t, (5, 1)), patients=copies), draws=60)
    assert often["patients"] == once["patients"] == 80
    assert often["overall"]["accuracy"] == pytest.approx(once["overall"]["accuracy"])


def test_a_thousand_draws_of_1600_cases_take_seconds():
    cases = cases_of(*made_up(1600)[:2])
    started = time.process_time()
    report(SPEC, cases, draws=1000)
    assert time.process_time() - started < 20


def test_a_source_that_gives_the_class_away_is_unmasked_within_it():
    """Each source has its own favourite finding; the model knows the source only."""
    cases = []
    for source, favourite in (("north", 0), ("south", 2)):
        y_true = np.where(RNG.uniform(size=300) < 0.8, favourite, 2 - favourite)
        p = np.full((300, 3), 0.1) + RNG.uniform(0, 0.01, (300, 3))
        p[:, favourite] += 0.7
        patients = [f"{source}{i}" for i in range(300)]
        cases += cases_of(p / p.sum(1, keepdims=True), np.eye(3)[y_true], patients=patients, source=source)
    found = report(SPEC, cases, draws=20)
    assert found["findings"]["covid19"]["auc"]["value"] > 0.75
    for source in ("north", "south"):
        within = found["sources"][source]["pairs"]["normal against covid19"]
        assert within["auc"]["value"] == pytest.approx(0.5, abs=0.12)
        assert within["cases"] == 300


def test_a_pair_of_findings_with_too_few_cases_has_no_ranking():
    p, t, _ = made_up(60)
    kept = np.r_[np.flatnonzero(t[:, 0])[:10], np.flatnonzero(t[:, 1])[:4]]
    assert report(SPEC, cases_of(p[kept], t[kept]), draws=5)["sources"]["north"]["pairs"] == {}


def test_groups_are_scored_apart_and_small_ones_are_marked():
    p, t, _ = made_up(200)
    sex = ["F"] * 120 + ["M"] * 72 + ["O"] * 8
    ages = [3.0] * 100 + [70.0] * 50 + [None] * 50
    groups = report(SPEC, cases_of(p, t, sex=sex, age=ages), draws=5)["groups"]
    assert set(groups["sex"]) == {"F", "M", "O"}
    assert groups["sex"]["O"] == {
        "cases": 8, "patients": 8, "present": groups["sex"]["O"]["present"], "withheld": 0, "too_few": True
    }  # fmt: skip
    women = report(SPEC, cases_of(p[:120], t[:120]), draws=5)
    within = groups["sex"]["F"]["findings"]["pneumonia"]
    assert within["auc"]["value"] == women["findings"]["pneumonia"]["auc"]["value"]
    assert {name: group["cases"] for name, group in groups["age"].items()} == {"1-5": 100, "65+": 50}
    assert groups["view"] == {}


def test_a_finding_that_is_rare_within_a_group_gets_no_figure_there():
    p, t, _ = made_up(100)
    t = np.eye(3)[[0] * 97 + [1] * 3]
    within = report(SPEC, cases_of(p, t), draws=5)["sources"]["north"]["findings"]
    assert (within["pneumonia"]["present"], within["pneumonia"]["absent"]) == (3, 97)
    assert within["pneumonia"]["auc"] is None
    assert within["pneumonia"]["sensitivity"] is None
    assert within["pneumonia"]["specificity"]["value"] > 0


@pytest.mark.parametrize(
    ("age", "band"),
    [
        (0.5, "<1"),
        (1, "1-5"),
        (5.9, "1-5"),
        (17.9, "6-17"),
        (18, "18-39"),
        (64, "40-64"),
        (90, "65+"),
        (None, ""),
    ],
)
def test_ages_fall_into_bands(age, band):
    assert age_band(age) == band


def test_withheld_cases_count_and_are_left_out_where_it_is_stated():
    p, t, _ = made_up(300, skill=2)
    shy = replace(SPEC, low_confidence=0.7)
    found, all_of_them = (report(s, cases_of(p, t, spec=s), draws=5, without=100) for s in (shy, SPEC))
    assert found["overall"] == all_of_them["overall"]
    assert 0 < found["withheld"] < 300
    processed = found["not_withheld"]
    assert processed["cases"] == 300 - found["withheld"]
    assert processed["coverage"] == processed["cases"] / 400
    assert processed["reasons"] == {"low_confidence": found["withheld"]}
    assert processed["overall"]["accuracy"]["value"] > found["overall"]["accuracy"]["value"]
    assert "overall" not in all_of_them["not_withheld"]


def test_an_unknown_label_is_neither_right_nor_wrong():
    cases = cases_of(*made_up(80)[:2])
    outsider = Case(replace(cases[0].row, findings=None), cases[0].prediction)
    assert report(SPEC, [*cases, outsider], draws=5) == report(SPEC, cases, draws=5)
    table = Table.of(SPEC, cases, draws=5)
    table.t[:40, 2] = np.nan
    found = describe(table)
    assert (
        found["findings"]["covid19"] == describe(Table.of(SPEC, cases[40:], draws=5))["findings"]["covid19"]
    )


def test_what_no_threshold_lets_through_is_counted_as_none():
    p = np.array([[0.34, 0.33, 0.33], [0.8, 0.1, 0.1]])
    found = report(SPEC, cases_of(p, np.eye(3)[[0, 0]]), draws=0)
    assert found["reported"] == {"right": 0.5, "none": 0.5}


def test_the_value_of_a_call_is_given_at_the_prevalence_that_was_named():
    cases = cases_of(*made_up(200)[:2])
    found = report(SPEC, cases, draws=5, prevalence={"covid19": 0.01})["findings"]
    assert found["covid19"]["ppv_at_prevalence"]["value"] < found["covid19"]["ppv"]["value"] / 2
    assert "ppv_at_prevalence" not in found["normal"]
    with pytest.raises(ValueError, match="gout"):
        report(SPEC, cases, prevalence={"gout": 0.1})


def test_images_without_a_known_finding_cannot_be_scored():
    row = Row("a.png", Path("a.png"), None, "a")
    text = predict_from(SPEC, dict.fromkeys(FINDINGS, 1 / 3))
    with pytest.raises(ValueError, match="known finding"):
        report(SPEC, [Case(row, text)])


def test_written_results_are_read_back(tmp_path):
    shy = replace(SPEC, low_confidence=0.7)
    cases = cases_of(*made_up(40)[:2], spec=shy)
    refused, failed = (replace(cases[0].row, image=name) for name in ("r.png", "f.png"))
    rows = [*(case.row for case in cases), refused, failed]
    without = {"r.png": "too_small", "f.png": "out_of_memory"}
    write_predictions(tmp_path / "p.csv", shy, rows, cases, without)
    lines = (tmp_path / "p.csv").read_text().splitlines()
    assert lines[0] == "image,finding,status,reason,p_normal,p_pneumonia,p_covid19"
    assert lines[-2:] == [
        f"r.png,{refused.findings[0]},refused,too_small,,,",
        f"f.png,{refused.findings[0]},failed,out_of_memory,,,",
    ]
    assert sum(",abstained,low_confidence," in line for line in lines) == sum(
        c.prediction.withheld for c in cases
    )
    again, left = read_predictions(tmp_path / "p.csv", SPEC, {row.image: row for row in rows})
    assert left == without
    assert [case.row for case in again] == [case.row for case in cases]
    for one, other in zip(again, cases, strict=True):
        assert one.prediction.abstention == other.prediction.abstention
        assert one.prediction.probabilities == pytest.approx(other.prediction.probabilities, abs=1e-6)


def test_results_of_another_model_or_manifest_are_refused(tmp_path):
    cases = cases_of(*made_up(4)[:2])
    write_predictions(tmp_path / "p.csv", SPEC, [case.row for case in cases], cases)
    with pytest.raises(ValueError, match="not in the manifest"):
        read_predictions(tmp_path / "p.csv", SPEC, {})
    other = ModelSpec(name="other", slot=Slot.CXR, findings=("a", "b"))
    with pytest.raises(ValueError, match="columns of predictions for a, b"):
        read_predictions(tmp_path / "p.csv", other, {})
