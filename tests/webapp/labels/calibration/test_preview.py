"""What the preview measures, on which scans, and when it warns."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.metrics import recall_score

from tests import factories, labelled_results
from tests.labelled_results import FINDINGS
from webapp.analysis.models import Analysis
from webapp.core.errors import CodedError
from webapp.labels.calibration.cases import known_findings, labelled_cases
from webapp.labels.calibration.choices import Choices
from webapp.labels.calibration.preview import preview
from webapp.labels.models import Label


@pytest.fixture
def look(site, version, boss):
    """Preview these choices."""
    return lambda **choices: preview(site=site, version=version, choices=Choices(**choices), by=boss)


def test_the_measures_of_the_proposed_thresholds_are_those_of_scikit_learn(site, version, look):
    labelled_results.results(site, version, 120)
    found = look()
    cases = labelled_cases(site, version)
    for k, finding in enumerate(FINDINGS):
        called = cases.probabilities[:, k] >= found.thresholds[finding]
        point = found.proposed["findings"][finding]
        assert point["sensitivity"]["value"] == pytest.approx(recall_score(cases.targets[:, k], called))
        assert point["specificity"]["value"] == pytest.approx(recall_score(~cases.targets[:, k], ~called))
        assert point["alarms"]["value"] == pytest.approx(100 * called.mean())
        if finding != "normal":
            assert point["false_alarms"]["value"] <= 0.1
        assert found.curves[finding]
    assert found.current["thresholds"] == dict.fromkeys(FINDINGS, 0.3)
    assert found.problems == []


def test_scans_of_one_patient_are_drawn_together(site, version, look):
    labelled_results.results(site, version, 120, patients=10)
    found = look()
    assert len(set(found.cases.patients)) == 10
    labelled_results.results(site, version, 1)
    assert len(set(look().cases.patients)) == 11


def test_a_stated_rate_of_false_alarms_is_kept(site, version, look):
    labelled_results.results(site, version, 120)
    strict = look(rate=0.02)
    for finding in ("pneumonia", "covid19"):
        assert strict.proposed["findings"][finding]["false_alarms"]["value"] <= 0.02
    assert strict.thresholds["covid19"] > look(rate=0.2).thresholds["covid19"]


def test_below_fifty_labelled_scans_nothing_is_chosen_and_the_number_is_named(site, version, look):
    labelled_results.results(site, version, 200, labelled=49)
    found = look()
    assert found.thresholds == dict.fromkeys(FINDINGS, 0.3)
    assert "needs 50 labelled scans with a result of this model; there are 49" in found.problems[0]
    assert found.proposed["findings"]["covid19"]["sensitivity"]["value"] is not None


def test_a_rate_that_the_normal_scans_cannot_show_keeps_the_models_threshold(site, version, look):
    labelled_results.results(site, version, 60, shares=(0.1, 0.5, 0.4))
    found = look(rate=0.05)
    assert found.thresholds["covid19"] == 0.3
    assert any(
        "COVID-19: a false-alarm rate of 5.0 % needs 19 scans labelled normal" in w for w in found.warnings
    )


def test_without_labels_there_is_nothing_to_measure(site, version, look):
    labelled_results.results(site, version, 5, labelled=0)
    found = look()
    assert (len(found.cases), found.curves, found.proposed["findings"]) == (0, {}, {})
    assert "there are 0" in found.problems[0]


def test_labels_are_counted_by_finding(site, version, look):
    labelled_results.results(site, version, 60)
    for scan in factories.ScanFactory.create_batch(3, site=site):
        factories.LabelFactory(scan=scan, findings={"pneumonia": "absent", "covid19": "unread"})
        factories.AnalysisFactory(
            scan=scan, model_version=version, status="done", probabilities=dict.fromkeys(FINDINGS, 1 / 3)
        )
    counts = look().counts
    assert (counts["pneumonia"]["labelled"], counts["covid19"]["labelled"]) == (63, 60)
    assert sum(count["present"] for count in counts.values()) == 60


@pytest.mark.parametrize(
    ("ground_truth", "known"),
    [
        ({"normal": "present"}, {"normal": True, "pneumonia": False, "covid19": False}),
        ({"pneumonia": "present"}, {"pneumonia": True, "normal": False}),
        ({"pneumonia": "absent", "covid19": None}, {"pneumonia": False}),
        ({"effusion": "present"}, {}),
    ],
)
def test_normal_and_a_finding_exclude_each_other_and_unknown_is_not_absent(ground_truth, known):
    assert known_findings(ground_truth, FINDINGS) == known


def test_labels_given_after_the_result_was_shown_do_not_count(site, version, look):
    made = labelled_results.results(site, version, 60, labelled=50)
    Label.objects.bulk_create(
        Label(site=site, scan=one.scan, reader=factories.UserFactory(), signed_as="x", blind=False,
              findings={"normal": "present"})
        for one in made[50:]
    )  # fmt: skip
    assert len(look().cases) == 50


def test_withheld_results_and_copies_of_an_image_are_left_out(site, version, look):
    made = labelled_results.results(site, version, 60)
    Analysis.objects.filter(pk__in=[one.pk for one in made[:4]]).update(
        withheld=True, abstention="lateral_view"
    )
    copy = made[5].scan
    copy.duplicate_of = made[6].scan
    copy.save(update_fields=["duplicate_of"])
    found = look()
    assert len(found.cases) == 55
    assert any("4 labelled scans are left out because the result is withheld" in w for w in found.warnings)


def test_scans_chosen_by_uncertainty_are_reported_as_no_random_sample(site, version, look):
    made = labelled_results.results(site, version, 60)
    chosen = factories.LabelQueueFactory(site=site, order="uncertainty")
    drawn = factories.LabelQueueFactory(site=site, order="random")
    for place, one in enumerate(made[:12]):
        factories.QueueItemFactory(queue=chosen if place < 7 else drawn, scan=one.scan, position=place)
    assert any(w.startswith("7 of 60 labelled scans are in label queues") for w in look().warnings)


def test_few_scans_with_a_finding_are_warned_of(site, version, look):
    labelled_results.results(site, version, 60, shares=(0.5, 0.47, 0.03))
    assert any("COVID-19: only" in w and "labelled scans with it" in w for w in look().warnings)


def test_results_of_another_site_or_version_do_not_count(site, version, other_site, look):
    labelled_results.results(other_site, version, 60)
    labelled_results.results(site, labelled_results.model(status="retired"), 60)
    assert len(look().cases) == 0


def test_temperature_makes_the_probabilities_agree_with_the_labels(site, version, look):
    labelled_results.results(site, version, 400)
    found = look(recalibration="temperature")
    assert found.problems == []
    labels = found.cases.targets.mean(axis=0)
    assert list(found.correction.prior.values()) == pytest.approx(labels, abs=0.03)


def test_isotonic_below_500_scans_is_a_problem_not_an_error(site, version, look):
    labelled_results.results(site, version, 120)
    found = look(recalibration="isotonic")
    assert "needs 500 scans" in found.problems[0]
    assert not found.correction.changes


def test_the_prevalence_of_unlabelled_results_is_estimated_with_its_interval(site, version, look):
    labelled_results.results(site, version, 900, labelled=0, shares=(0.85, 0.1, 0.05))
    found = look(prevalence="stream", rule="model")
    assert found.problems == []
    for finding, share in zip(FINDINGS, (0.85, 0.1, 0.05), strict=True):
        estimate = found.shares[finding]["stream"]
        assert estimate["low"] <= estimate["value"] <= estimate["high"]
        assert estimate["value"] == pytest.approx(share, abs=0.05)
        assert found.shares[finding]["model"] == pytest.approx(1 / 3)
    assert found.correction.prevalence["covid19"] == found.shares["covid19"]["stream"]["value"]


def test_an_estimate_that_the_labels_contradict_is_warned_of(site, version, look):
    labelled_results.results(site, version, 300, labelled=0, shares=(0.1, 0.1, 0.8))
    labelled_results.results(site, version, 100, shares=(0.9, 0.08, 0.02), seed=1)
    found = look(prevalence="stream")
    assert any("COVID-19: estimated at" in w and "Recalibrate first." in w for w in found.warnings)


def test_few_results_are_too_few_for_an_estimate(site, version, look):
    labelled_results.results(site, version, 199, labelled=60)
    assert "needs 200 results; there are 199" in look(prevalence="stream").problems[0]


def test_a_rare_finding_raises_fewer_alarms_at_the_stated_prevalence(site, version, look):
    labelled_results.results(site, version, 120)
    shares = {"normal": 0.97, "pneumonia": 0.02, "covid19": 0.01}
    found = look(prevalence="stated", shares=shares, rule="model")
    point = found.proposed["findings"]["covid19"]
    expected = point["sensitivity"]["value"] * 0.01 + (1 - point["specificity"]["value"]) * 0.99
    assert point["alarms"]["value"] == pytest.approx(100 * expected)
    before = found.current["findings"]["covid19"]
    assert point["alarms"]["value"] < before["alarms"]["value"]


def test_without_the_models_own_shares_the_prevalence_needs_a_recalibration(site, boss):
    bare = labelled_results.model()
    type(bare).objects.filter(pk=bare.pk).update(card={})
    bare.refresh_from_db()
    labelled_results.results(site, bare, 120)
    asked = {"site": site, "version": bare, "by": boss}
    found = preview(choices=Choices(prevalence="labels"), **asked)
    assert "model card does not state how common" in found.problems[0]
    assert preview(choices=Choices(prevalence="labels", recalibration="temperature"), **asked).problems == []


@pytest.mark.parametrize(
    ("choices", "field"),
    [
        ({"recalibration": "platt"}, "recalibration"),
        ({"prevalence": "guess"}, "prevalence"),
        ({"rule": "youden"}, "rule"),
        ({"rate": 0.0}, "rate"),
        ({"rule": "chosen", "thresholds": {"normal": 0.5}}, "thresholds"),
        ({"rule": "chosen", "thresholds": dict.fromkeys(FINDINGS, 1.0)}, "thresholds"),
        ({"prevalence": "stated", "shares": dict.fromkeys(FINDINGS, 0.3)}, "shares"),
    ],
)
def test_wrong_choices_are_refused_by_field(look, choices, field):
    with pytest.raises(CodedError) as error:
        look(**choices)
    assert (error.value.code, list(error.value.fields)) == ("invalid", [field])


def test_only_who_may_calibrate_previews(site, version, owner):
    with pytest.raises(CodedError) as error:
        preview(site=site, version=version, choices=Choices(), by=owner)
    assert error.value.code == "forbidden"


def test_arrays_have_a_row_a_scan(site, version):
    labelled_results.results(site, version, 4)
    cases = labelled_cases(site, version)
    assert cases.probabilities.shape == cases.targets.shape == cases.known.shape == (4, 3)
    assert cases.probabilities.sum(axis=1) == pytest.approx(np.ones(4), abs=1e-5)
