"""Two models on the same images."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from classifier.__main__ import main
from classifier.artifact.weights import save_artifact
from classifier.evaluation.compare import ModelPredictions, by_chance, compare, paired
from classifier.networks.registry import network_for
from classifier.reasons import AbstentionReason
from tests.classifier.collection import write_collection
from tests.classifier.made_up import FINDINGS, SPEC, cases_of, made_up


def sharpened(p: np.ndarray, t: np.ndarray, by: float) -> np.ndarray:
    """The same returns moved towards the truth (or, below 0, away from it)."""
    moved = np.log(p + 1e-3) + by * t
    return np.exp(moved) / np.exp(moved).sum(axis=1, keepdims=True)


def results(p, t, spec=SPEC, without=(), **facts) -> ModelPredictions:
    return ModelPredictions(spec, cases_of(p, t, spec=spec, **facts), dict.fromkeys(without, "undecodable"))


@pytest.fixture
def y_true():
    return made_up(300)


def test_each_side_is_measured_and_the_difference_is_that_of_the_two(y_true):
    p, t, _ = y_true
    found = compare(results(sharpened(p, t, 1.0), t), results(p, t), draws=200)
    macro = found["all"]["overall"]["macro_auc"]
    ours = np.mean([roc_auc_score(t[:, k], sharpened(p, t, 1.0)[:, k]) for k in range(3)])
    assert macro["candidate"]["value"] == pytest.approx(ours)
    assert macro["difference"]["value"] == pytest.approx(ours - macro["active"]["value"])
    assert 0 < macro["difference"]["low"] < macro["difference"]["value"] < macro["difference"]["high"]
    assert (found["cases"], found["patients"]) == (300, 300)


def test_the_same_patients_are_drawn_for_both_so_that_equal_models_differ_by_nothing(y_true):
    p, t, _ = y_true
    found = compare(results(p, t), results(p, t), draws=50)
    for values in found["all"]["overall"].values():
        assert values["difference"] == {"value": 0, "low": 0, "high": 0}
        assert values["candidate"]["low"] < values["candidate"]["high"]
    assert found["changes"] == []


def test_an_interval_is_of_patients_not_of_images(y_true):
    """Twelve patients, each easy or hard as a whole, are less evidence than as many images suggest."""
    p, t, _ = y_true
    rank = np.argsort(np.argsort((p * t).sum(axis=1)))
    few = [f"p{i // 25}" for i in rank]
    many = compare(results(p, t), draws=300)
    grouped = compare(results(p, t, patients=few), draws=300)
    assert grouped["patients"] == 12
    assert width(grouped) > 2 * width(many)


def width(found: dict) -> float:
    interval = found["all"]["overall"]["brier"]["candidate"]
    return interval["high"] - interval["low"]


def test_decisions_are_taken_at_each_models_own_thresholds(y_true):
    p, t, _ = y_true
    strict = replace(SPEC, thresholds=dict.fromkeys(FINDINGS, 0.9))
    found = compare(results(p, t, spec=strict), results(p, t), draws=20)["all"]["findings"]["covid19"]
    assert found["thresholds"] == {"candidate": 0.9, "active": 0.4}
    assert found["auc"]["difference"]["value"] == 0
    expected = (p[t[:, 2] == 1, 2] >= 0.9).mean()
    assert found["sensitivity"]["candidate"]["value"] == pytest.approx(expected)
    assert found["sensitivity"]["difference"]["value"] < 0 < found["specificity"]["difference"]["value"]


def test_abstaining_on_what_is_hard_moves_the_processed_scores_and_not_those_of_all_cases(y_true):
    p, t, _ = y_true
    shy = results(p, t)
    hard = p[np.arange(300), t.argmax(axis=1)] < 0.3
    shy = ModelPredictions(
        SPEC,
        [
            replace(c, prediction=replace(c.prediction, abstention=AbstentionReason.LOW_CONFIDENCE))
            if hide
            else c
            for c, hide in zip(shy.cases, hard, strict=True)
        ],
        {},
    )
    found = compare(shy, results(p, t), draws=20)
    assert found["all"]["overall"]["macro_auc"]["difference"]["value"] == 0
    assert found["not_withheld"]["overall"]["macro_auc"]["difference"]["value"] > 0.05
    assert found["coverage"] == {"candidate": pytest.approx(1 - hard.mean()), "active": 1.0}
    assert len(found["changes"]) == hard.sum()
    assert all(change["to"]["withheld"] for change in found["changes"])


def test_an_image_that_one_model_could_not_result_is_left_out_of_both_and_counted(y_true):
    p, t, _ = y_true
    candidate = ModelPredictions(SPEC, cases_of(p, t)[10:], {f"north{i}.png": "bad_image" for i in range(10)})
    found = compare(candidate, results(p, t), draws=20)
    assert (found["cases"], found["no_result"]) == (290, {"candidate": 10, "active": 0})


def test_only_shared_findings_are_compared_and_a_lost_one_is_reported(y_true):
    p, t, _ = y_true
    two = replace(SPEC, findings=FINDINGS[:2], thresholds={})
    candidate = ModelPredictions(two, [replace(c, prediction=_of_two(c, two)) for c in cases_of(p, t)], {})
    found = compare(candidate, results(p, t), draws=20)
    assert found["findings"] == ["normal", "pneumonia"]
    assert (found["lost_findings"], found["new_findings"]) == (["covid19"], [])


def _of_two(case, spec):
    from classifier.contract import predict_from

    return predict_from(spec, {f: case.prediction.probabilities[f] for f in spec.findings})


def test_the_images_whose_finding_changes_are_named_with_what_is_true(y_true):
    p, t, _ = y_true
    found = compare(results(sharpened(p, t, 2.0), t), results(p, t), draws=20)
    assert found["compared"] == 300
    assert 0 < len(found["changes"]) < 300
    change = found["changes"][0]
    index = int(change["image"].removeprefix("north").removesuffix(".png"))
    assert change["ground_truth"] == [FINDINGS[t[index].argmax()]]
    assert change["from"]["finding"] != change["to"]["finding"]


def test_groups_are_compared_where_they_are_large_enough(y_true):
    p, t, _ = y_true
    facts = {"sex": ["F"] * 200 + ["M"] * 95 + [""] * 5, "age": [3.0] * 6 + [50.0] * 294}
    found = compare(results(sharpened(p, t, 1.0), t, **facts), results(p, t, **facts), draws=20)["groups"]
    assert found["sex"]["F"]["findings"]["normal"]["auc"]["difference"]["value"] > 0
    assert set(found["sex"]) == {"F", "M"}
    assert found["age"]["1-5"]["too_few"] is True
    assert set(found["source"]) == {"north"}


def test_without_an_active_model_there_is_nothing_to_differ_from(y_true):
    p, t, _ = y_true
    found = compare(results(p, t), draws=20)
    macro = found["all"]["overall"]["macro_auc"]
    assert macro["active"] is None
    assert macro["difference"] is None
    assert 0.5 < macro["candidate"]["value"] < 1
    assert found["changes"] == []


def test_a_perfect_calibration_seems_worse_the_fewer_the_cases(y_true):
    p, t, _ = y_true
    few, many = (by_chance(paired([results(p[:n], t[:n])])) for n in (40, 300))
    assert few > 1.5 * many > 0


def test_models_without_an_image_or_a_finding_in_common_are_refused_in_words(y_true):
    p, t, _ = y_true
    with pytest.raises(ValueError, match="no image with a known finding"):
        compare(results(p[:5], t[:5]), results(p[:5], t[:5], source="south"))
    others = replace(SPEC, findings=("gout", "scurvy"), thresholds={})
    with pytest.raises(ValueError, match="share no finding"):
        compare(ModelPredictions(others, [], {}), results(p, t))


@pytest.fixture
def models(tmp_path):
    spec = replace(SPEC, findings=("left", "right"), thresholds={}, layers=(1, 1, 1, 1), width=4, size=64)
    for name in ("new", "old"):
        state = network_for(spec).state_dict()
        save_artifact(
            tmp_path / f"{name}.safetensors", spec=replace(spec, name=name), classifier_state=state, card={}
        )
    return tmp_path / "new.safetensors", tmp_path / "old.safetensors"


def test_the_command_compares_two_artifacts_and_writes_the_whole(models, tmp_path, capsys):
    new, old = map(str, models)
    manifest = write_collection(tmp_path / "images", patients=20)
    out = tmp_path / "comparison.json"
    given = ["compare", "--model", new, "--against", old, "--manifest", str(manifest), "--device", "cpu"]
    assert main([*given, "--part", "all", "--draws", "20", "--out", str(out), "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == {"event": "done", "artifact": str(out)}
    found = json.loads(out.read_text())
    assert (found["cases"], found["models"]["active"]["name"]) == (40, "old")
    assert set(found["groups"]["source"]) == {"north", "south"}
    assert found["shortcuts"] == {"candidate": None, "active": None}
    assert main([*given, "--part", "all", "--draws", "20"]) == 0
    text = capsys.readouterr().out
    assert "new vs. old: 40 images of 20 patients" in text
    assert "Left AUC" in text


def test_the_command_takes_the_in_the_snapshot_test_part(models, tmp_path, capsys):
    manifest = write_collection(tmp_path / "images", patients=40)
    assert main(["compare", "--model", str(models[0]), "--manifest", str(manifest), "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["cases"] == 16


def test_what_cannot_be_compared_is_refused_in_words(models, tmp_path, capsys):
    given = ["compare", "--model", str(models[0]), "--manifest", str(tmp_path / "gone.csv")]
    assert main(given) == 1
    assert "Comparison failed" in capsys.readouterr().err
