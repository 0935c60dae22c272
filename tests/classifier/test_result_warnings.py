"""Which measures make a warning, which warnings withhold a result, and how a model file keeps the limits."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from classifier.cli.inference.predict import line_of
from classifier.contract import ModelSpec, Slot, predict_from
from classifier.reasons import ADVICE, AbstentionReason, ResultWarning
from classifier.result_warnings import Limit, Measures, WarningLimits

LIMITS = WarningLimits(
    inside_lungs=Limit(0.5, 0.35),
    distance=Limit(1.3, 2.0),
    mirrored=Limit(0.9),
    distances=tuple(0.5 + step / 100 for step in range(101)),
    not_before={"covid19": "2019-12-01"},
)
SPEC = ModelSpec(
    name="tiny",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    decision="abnormal_first",
    warning_limits=LIMITS,
)
COVID19 = {"normal": 0.04, "pneumonia": 0.06, "covid19": 0.9}
NORMAL = {"normal": 0.9, "pneumonia": 0.04, "covid19": 0.06}
USUAL = Measures(inside_lungs=0.8, distance=1.0, mirrored=0.1, shifted="covid19", dated="2020-05-01")


def given(probabilities=COVID19, **measures):
    return predict_from(SPEC, probabilities, measures=replace(USUAL, **measures))


def test_a_usual_image_has_no_warning():
    assert given().warnings == ()
    assert not given().withheld


@pytest.mark.parametrize(
    ("measures", "warning"),
    [
        ({"inside_lungs": 0.45}, ResultWarning.MAP_OUTSIDE_LUNGS),
        ({"distance": 1.4}, ResultWarning.UNUSUAL_IMAGE),
        ({"mirrored": 0.95}, ResultWarning.MIRRORED),
        ({"shifted": "pneumonia"}, ResultWarning.UNSTABLE),
        ({"shifted": ""}, ResultWarning.UNSTABLE),
        ({"burned_in": True}, ResultWarning.BURNED_IN_TEXT),
    ],
)
def test_one_weak_warning_is_shown_with_the_result(measures, warning):
    assert given(**measures).warnings == (warning,)
    assert not given(**measures).withheld


@pytest.mark.parametrize(
    ("measures", "reason"),
    [
        ({"inside_lungs": 0.3}, AbstentionReason.IMPLAUSIBLE_EVIDENCE),
        ({"dated": "2004-01-31"}, AbstentionReason.IMPLAUSIBLE_EVIDENCE),
        ({"distance": 2.1}, AbstentionReason.OUT_OF_DISTRIBUTION),
        ({"inside_lungs": 0.45, "shifted": ""}, AbstentionReason.IMPLAUSIBLE_EVIDENCE),
        ({"inside_lungs": 0.45, "mirrored": 0.95}, AbstentionReason.OUT_OF_DISTRIBUTION),
    ],
)
def test_one_strong_warning_or_two_withhold_the_result(measures, reason):
    assert given(**measures).abstention is reason


@pytest.mark.parametrize("date", ["2019-12-01", None])
def test_a_date_is_held_against_a_finding_only_if_it_is_known_and_earlier(date):
    assert not given(dated=date).warnings


def test_a_date_is_held_against_the_finding_that_it_excludes_only():
    pneumonia = {"normal": 0.04, "pneumonia": 0.9, "covid19": 0.06}
    assert not given(pneumonia, dated="2004-01-31", shifted="pneumonia").warnings


def test_normal_is_shown_with_warnings_on_the_image_and_never_withheld_for_them():
    found = given(NORMAL, distance=3.0, mirrored=0.95, inside_lungs=0.1, shifted=None, dated="2004-01-31")
    assert found.warnings == (ResultWarning.UNUSUAL_IMAGE, ResultWarning.MIRRORED)
    assert not found.withheld


def test_a_reason_of_the_input_check_comes_first_and_warnings_are_kept():
    found = predict_from(
        SPEC, COVID19, abstention=AbstentionReason.LATERAL_VIEW, measures=replace(USUAL, inside_lungs=0.1)
    )
    assert found.abstention is AbstentionReason.LATERAL_VIEW
    assert found.warnings == (ResultWarning.MAP_OUTSIDE_LUNGS,)


def test_a_model_without_limits_gives_no_warnings():
    spec = replace(SPEC, warning_limits=None)
    assert predict_from(spec, COVID19, measures=replace(USUAL, inside_lungs=0.0, distance=9.0)).warnings == ()


def test_limits_are_the_same_after_a_round_trip_through_the_header():
    assert ModelSpec.from_json(SPEC.to_json()) == SPEC


@pytest.mark.parametrize("limits", [{"distances": [2.0, 1.0]}, {"unknown": 1}, {"distance": [1, 2, 3]}])
def test_malformed_limits_are_refused(limits):
    text = json.dumps({**json.loads(SPEC.to_json()), "warning_limits": limits})
    with pytest.raises(ValueError, match=r"limits|ascending|malformed"):
        ModelSpec.from_json(text)


def test_a_distance_is_stated_as_a_share_of_validation_images():
    assert [LIMITS.percentile(distance) for distance in (0.1, 1.0, 9.0)] == [0, 50, 100]


def test_measures_are_kept_without_what_was_not_measured():
    assert Measures(mirrored=0.0, shifted="").as_dict() == {"mirrored": 0.0, "shifted": ""}


@pytest.mark.parametrize("warning", ResultWarning)
def test_every_warning_has_a_problem_and_a_remedy(warning):
    assert ADVICE[warning].problem.endswith(".")
    assert ADVICE[warning].remedy.endswith(".")


def test_the_command_states_warnings_in_words():
    record = {
        "file": "a.png",
        "status": "ok",
        "finding": "covid19",
        "probabilities": {"covid19": 0.9},
        "prediction_set": None,
        "warnings": ["mirrored"],
    }
    assert line_of(record).endswith("COVID-19 (COVID-19 0.90) Warning: The image may be mirrored.")
