from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from sklearn import metrics as reference

from classifier import metrics
from classifier.__main__ import main
from classifier.contract import ModelSpec, Slot, predict_from
from classifier.data import Row
from classifier.evaluate import Case, report, summary
from classifier.networks import network_for
from classifier.weights import save_artifact
from tests.classifier.collection import write_collection

FINDINGS = ("normal", "pneumonia", "covid19")
SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=FINDINGS, thresholds=dict.fromkeys(FINDINGS, 0.4))
RNG = np.random.default_rng(0)


def made_up(count: int, *, skill: float = 1.0) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Probabilities (rounded, so that there are ties), targets, and whole weights from 0 to 3."""
    truth = RNG.integers(0, 3, count)
    powers = np.exp(RNG.normal(0, 1, (count, 3)) + skill * np.eye(3)[truth])
    p = (powers / powers.sum(axis=1, keepdims=True)).round(2)
    return p / p.sum(axis=1, keepdims=True), np.eye(3)[truth], RNG.integers(0, 4, count).astype(float)


def cases_of(p: np.ndarray, t: np.ndarray, *, patients=None, source="north", spec=SPEC) -> list[Case]:
    cases = []
    for i, (said, truth) in enumerate(zip(p, t, strict=True)):
        patient = f"p{i}" if patients is None else patients[i]
        row = Row(f"{i}.png", Path(f"{i}.png"), (FINDINGS[truth.argmax()],), patient, source)
        cases.append(Case(row, predict_from(spec, dict(zip(FINDINGS, said.tolist(), strict=True))), {}))
    return cases


def test_measures_agree_with_scikit_learn():
    p, t, w = made_up(400)
    truth, said = t.argmax(1), p.argmax(1)
    weighted = {"sample_weight": w}
    assert metrics.accuracy(p, t, w) == pytest.approx(reference.accuracy_score(truth, said, **weighted))
    expected = reference.balanced_accuracy_score(truth, said, **weighted)
    assert metrics.balanced_accuracy(p, t, w) == pytest.approx(expected)
    assert metrics.confusion(p, t) == reference.confusion_matrix(truth, said).tolist()
    assert metrics.log_loss(p + 1e-9, t, w) == pytest.approx(
        reference.log_loss(truth, p + 1e-9, **weighted), rel=1e-5
    )
    for k in range(3):
        expected = reference.roc_auc_score(t[:, k], p[:, k], **weighted)
        assert metrics.auc(p[:, k], t[:, k], w) == pytest.approx(expected)
    briers = [reference.brier_score_loss(t[:, k], p[:, k], **weighted) for k in range(3)]
    assert metrics.brier(p, t, w) == pytest.approx(sum(briers))


def test_decisions_agree_with_scikit_learn():
    p, t, w = made_up(300)
    given, said = metrics.decisions(p[:, 1], t[:, 1], w, 0.4), p[:, 1] >= 0.4
    weighted = {"sample_weight": w}
    assert given["sensitivity"] == pytest.approx(reference.recall_score(t[:, 1], said, **weighted))
    assert given["specificity"] == pytest.approx(
        reference.recall_score(t[:, 1], said, pos_label=0, **weighted)
    )
    assert given["ppv"] == pytest.approx(reference.precision_score(t[:, 1], said, **weighted))
    assert given["npv"] == pytest.approx(reference.precision_score(t[:, 1], said, pos_label=0, **weighted))
    assert given["f1"] == pytest.approx(reference.f1_score(t[:, 1], said, **weighted))


def test_the_calibration_error_is_the_gap_between_confidence_and_accuracy():
    p = np.array([[0.75, 0.25]] * 4 + [[0.95, 0.05]] * 4)
    t = np.eye(2)[[0, 0, 0, 0, 0, 0, 1, 1]]  # too timid, then too sure: in one bin they would cancel
    assert metrics.calibration_error(p, t, np.ones(8)) == pytest.approx((0.25 + 0.45) / 2)


def test_a_measure_of_nothing_is_not_a_number():
    assert np.isnan(metrics.auc(np.array([0.1, 0.2]), np.array([1, 1]), np.ones(2)))
    assert np.isnan(metrics.decisions(np.array([0.1]), np.array([1]), np.ones(1), 0.5)["specificity"])


def test_intervals_hold_the_measure_and_narrow_with_more_patients():
    few, many = (report(SPEC, cases_of(*made_up(n)[:2]), draws=60)["overall"]["accuracy"] for n in (60, 900))
    for measure in (few, many):
        assert measure["low"] < measure["value"] < measure["high"]
    assert many["high"] - many["low"] < (few["high"] - few["low"]) / 2


def test_copies_of_a_patients_picture_do_not_narrow_the_interval():
    p, t, _ = made_up(80)
    once = report(SPEC, cases_of(p, t, patients=[f"p{i}" for i in range(80)]), draws=60)
    copies = [f"p{i}" for i in range(80)] * 5
    often = report(SPEC, cases_of(np.tile(p, (5, 1)), np.tile(t, (5, 1)), patients=copies), draws=60)
    assert often["patients"] == once["patients"] == 80
    assert often["overall"]["accuracy"] == pytest.approx(once["overall"]["accuracy"])


def test_a_source_that_gives_the_class_away_is_unmasked_within_it():
    """Each source has its own favourite finding; the model knows the source only."""
    spec_cases = []
    for source, favourite in (("north", 0), ("south", 2)):
        truth = np.where(RNG.uniform(size=300) < 0.8, favourite, 2 - favourite)
        p = np.full((300, 3), 0.1) + RNG.uniform(0, 0.01, (300, 3))
        p[:, favourite] += 0.7
        patients = [f"{source}{i}" for i in range(300)]
        spec_cases += cases_of(
            p / p.sum(1, keepdims=True), np.eye(3)[truth], patients=patients, source=source
        )
    found = report(SPEC, spec_cases, draws=20)
    assert found["findings"]["covid19"]["auc"]["value"] > 0.75
    for source in ("north", "south"):
        within = found["sources"][source]["pairs"]["normal against covid19"]
        assert within["auc"]["value"] == pytest.approx(0.5, abs=0.12)
        assert within["cases"] == 300


def test_a_pair_of_findings_with_too_few_cases_has_no_ranking():
    p, t, _ = made_up(60)
    kept = np.r_[np.flatnonzero(t[:, 0])[:10], np.flatnonzero(t[:, 1])[:4]]
    assert report(SPEC, cases_of(p[kept], t[kept]), draws=5)["sources"]["north"]["pairs"] == {}


def test_withheld_cases_count_like_the_others():
    spec = ModelSpec(name="shy", slot=Slot.CXR, findings=FINDINGS, low_confidence=0.0)
    p, t, _ = made_up(50)
    found = report(spec, cases_of(p, t, spec=spec), draws=5)
    assert found["withheld"] == found["cases"] == 50


def test_what_no_threshold_lets_through_is_counted_as_none():
    p = np.array([[0.34, 0.33, 0.33], [0.8, 0.1, 0.1]])
    found = report(SPEC, cases_of(p, np.eye(3)[[0, 0]]), draws=0)
    assert found["reported"] == {"right": 0.5, "none": 0.5}


def test_pictures_without_a_known_finding_cannot_be_scored():
    row = Row("a.png", Path("a.png"), None, "a")
    said = predict_from(SPEC, dict.fromkeys(FINDINGS, 1 / 3))
    with pytest.raises(ValueError, match="known finding"):
        report(SPEC, [Case(row, said, {})])


def test_the_command_scores_a_model_and_writes_every_prediction(tmp_path, capsys):
    spec = ModelSpec(
        name="tiny", slot=Slot.CXR, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64
    )
    save_artifact(
        tmp_path / "m.safetensors", spec=spec, classifier_state=network_for(spec).state_dict(), card={}
    )
    manifest = write_collection(tmp_path / "pictures", patients=8)
    (tmp_path / "pictures" / "000-0.png").write_text("no picture")
    options = ["--predictions", str(tmp_path / "p.csv"), "--draws", "10", "--device", "cpu", "--json"]
    assert (
        main(["evaluate", "--model", str(tmp_path / "m.safetensors"), "--manifest", str(manifest), *options])
        == 0
    )
    found = json.loads(capsys.readouterr().out)
    assert (found["cases"], found["patients"]) == (15, 8)
    assert found["without_answer"] == {"000-0.png": "not_an_image"}
    assert set(found["sources"]) == {"north", "south"}
    with (tmp_path / "p.csv").open() as file:
        predictions = list(csv.DictReader(file))
    assert [line["image"] for line in predictions][:2] == ["000-1.png", "001-0.png"]
    assert all(float(p["p_left"]) + float(p["p_right"]) == pytest.approx(1, abs=1e-5) for p in predictions)
    assert "accuracy" in summary(found)


def test_a_manifest_that_cannot_be_scored_is_refused_in_words(tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("image,finding\n")
    code = main(["evaluate", "--model", str(tmp_path / "gone"), "--manifest", str(tmp_path / "manifest.csv")])
    assert code == 1
    assert "evaluation failed" in capsys.readouterr().err
