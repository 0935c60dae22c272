"""Thresholds for a stated false-alarm rate, on simulated scores of several origins."""

from __future__ import annotations

import json

import numpy as np
import pytest

from classifier.contract import ModelSpec, OperatingPoint, Slot, predict_from
from classifier.evaluation.operating.thresholds import SMALL_ORIGINS, fit_operating_points
from tests.classifier.made_up import FINDINGS

RNG = np.random.default_rng(5)


def images(origin: str, normals: int, covid: int, *, shift: float = 0.0, pneumonia: int = 20):
    """Probabilities, targets and origins; `shift` moves all images of the origin towards COVID-19."""
    present = np.repeat([0, 1, 2], [normals, pneumonia, covid])
    logits = RNG.normal(0, 1, (len(present), 3)) + 2 * np.eye(3)[present]
    logits[:, 2] += shift
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    return p, np.eye(3)[present], [origin] * len(present)


def joined(*parts):
    p, t, origins = zip(*parts, strict=True)
    return np.concatenate(p), np.concatenate(t), [name for part in origins for name in part]


def alarms(p, t, origins, threshold, origin) -> float:
    normal = (t[:, 0] == 1) & (np.array(origins) == origin)
    return float((p[normal, 2] >= threshold).mean())


@pytest.mark.parametrize("rate", [0.05, 0.1, 0.2])
def test_no_origin_exceeds_the_stated_rate_and_the_worst_one_uses_it(rate):
    data = joined(images("home", 400, 200), images("shifted", 200, 100, shift=1.5))
    facts, _ = fit_operating_points(*data[:2], FINDINGS, data[2], rate=rate)
    threshold = facts["covid19"]["threshold"]
    assert alarms(*data, threshold, "home") <= rate
    assert rate - 0.02 < alarms(*data, threshold, "shifted") <= rate
    assert facts["covid19"]["origins"]["shifted"]["false_alarms"] == alarms(*data, threshold, "shifted")
    assert facts["covid19"]["worst_false_alarms"] == alarms(*data, threshold, "shifted")


def test_the_rate_holds_on_new_images_of_the_origin():
    rates = []
    for _ in range(300):
        p, t, origins = images("home", 40, 40)
        facts, _ = fit_operating_points(p, t, FINDINGS, origins, rate=0.1)
        new = images("home", 300, 0)
        rates.append(alarms(*new, facts["covid19"]["threshold"], "home"))
    assert 0.05 < np.mean(rates) < 0.1


def test_a_threshold_of_youdens_index_is_what_it_was():
    data = joined(images("home", 400, 200), images("shifted", 200, 100, shift=1.5))
    facts, _ = fit_operating_points(*data[:2], FINDINGS, data[2], by="youden")
    assert alarms(*data, facts["covid19"]["threshold"], "shifted") > 0.15
    by_rate, _ = fit_operating_points(*data[:2], FINDINGS, data[2])
    assert by_rate["normal"] == facts["normal"]


def test_origins_with_few_normal_images_count_as_one():
    few = [images(f"small-{n}", 8, 8, shift=2) for n in range(5)]
    data = joined(images("home", 400, 200), *few)
    facts, _ = fit_operating_points(*data[:2], FINDINGS, data[2])
    origins = facts["covid19"]["origins"]
    assert {name: line["normals"] for name, line in origins.items()} == {"home": 400, SMALL_ORIGINS: 40}
    assert origins[SMALL_ORIGINS]["false_alarms"] <= 0.1


def test_one_outlier_among_a_few_normal_images_sets_no_threshold():
    data = joined(images("home", 400, 200), images("small", 3, 3, shift=8))
    alone = images("home", 400, 200)
    facts, _ = fit_operating_points(*data[:2], FINDINGS, data[2])
    reference, _ = fit_operating_points(*alone[:2], FINDINGS, alone[2])
    assert facts["covid19"]["threshold"] == pytest.approx(reference["covid19"]["threshold"], abs=0.1)


def test_no_alarm_is_raised_where_the_finding_is_perfectly_separated():
    p = np.array([[1 - s, s] for s in [*np.linspace(0.01, 0.2, 50), *np.linspace(0.8, 0.9, 50)]])
    t = np.repeat([[1, 0], [0, 1]], 50, axis=0)
    facts, _ = fit_operating_points(p, t, ("normal", "opacity"), [""] * 100)
    assert facts["opacity"]["threshold"] == pytest.approx(0.5)
    assert (facts["opacity"]["sensitivity"], facts["opacity"]["false_alarms"]) == (1, 0)


def test_a_model_without_normal_counts_images_without_the_finding():
    p, t, origins = images("home", 200, 200)
    facts, _ = fit_operating_points(p[:, 1:], t[:, 1:], FINDINGS[1:], origins)
    assert 0.08 < 1 - facts["covid19"]["specificity"] <= 0.1


def test_the_curve_states_what_each_threshold_gives():
    p, t, origins = data = joined(images("home", 400, 200), images("shifted", 200, 100, shift=1.5))
    facts, curves = fit_operating_points(p, t, FINDINGS, origins)
    curve = curves["covid19"]
    assert 15 <= len(curve) <= 22
    assert list(curve) == sorted(curve)
    for threshold, sensitivity, everywhere, worst in curve:
        assert sensitivity == pytest.approx((p[t[:, 2] == 1, 2] >= threshold).mean(), abs=0.005)
        assert everywhere == pytest.approx((p[t[:, 0] == 1, 2] >= threshold).mean(), abs=0.005)
        assert worst == pytest.approx(alarms(*data, threshold, "shifted"), abs=0.01)
    assert any(point.threshold == pytest.approx(facts["covid19"]["threshold"], rel=1e-4) for point in curve)
    assert curve[0].worst_false_alarms > 0.9
    assert curve[-1].worst_false_alarms == 0


SPEC = ModelSpec(
    name="tiny",
    slot=Slot.CXR,
    findings=FINDINGS,
    thresholds={"normal": 0.5, "pneumonia": 0.3, "covid19": 0.2},
    decision="abnormal_first",
    operating_curve={"covid19": (OperatingPoint(0.2, 0.8, 0.05, 0.1), OperatingPoint(0.4, 0.6, 0.01, 0.03))},
)


@pytest.mark.parametrize(
    ("probabilities", "reported"),
    [
        ((0.7, 0.1, 0.2), "covid19"),
        ((0.3, 0.4, 0.3), "pneumonia"),
        ((0.7, 0.2, 0.1), "normal"),
        ((0.4, 0.25, 0.1), None),
    ],
)
def test_normal_is_reported_only_if_no_other_finding_is(probabilities, reported):
    assert predict_from(SPEC, dict(zip(FINDINGS, probabilities, strict=True))).finding == reported


def test_the_curve_travels_with_the_spec_and_older_specs_need_none():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC
    older = json.loads(SPEC.to_json())
    del older["operating_curve"], older["decision"]
    read = ModelSpec.from_json(json.dumps(older))
    assert (read.decision, read.operating_curve) == ("highest", {})
    assert predict_from(read, {"normal": 0.7, "pneumonia": 0.1, "covid19": 0.2}).finding == "normal"


@pytest.mark.parametrize(
    "curve",
    [
        {"gout": [[0.2, 0.8, 0.1, 0.1]]},
        {"covid19": [[0.4, 0.8, 0.1, 0.1], [0.2, 0.8, 0.1, 0.1]]},
        {"covid19": [[0.4, 1.8, 0.1, 0.1]]},
        {"covid19": [[0.4, 0.8]]},
        {"covid19": [["a", 0.8, 0.1, 0.1]]},
        {"covid19": 3},
        [1],
    ],
)
def test_malformed_curves_are_refused(curve):
    text = json.loads(SPEC.to_json()) | {"operating_curve": curve}
    with pytest.raises(ValueError):  # noqa: PT011
        ModelSpec.from_json(json.dumps(text))
