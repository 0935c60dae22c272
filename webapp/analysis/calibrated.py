"""A model's prediction as its site's calibration makes it: the one place where that is decided."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np

from classifier.contract import Cam, ModelSpec, Prediction, leading_finding, predict_from, reported
from classifier.evaluation.site.correction import Correction, corrected
from webapp.registry.models import SiteCalibration


def at_site(prediction: Prediction, spec: ModelSpec, calibration: SiteCalibration) -> Prediction:
    """The prediction with the site's probabilities and thresholds.

    A withheld result stays withheld: the model's limits were fitted on its own output. The score of other
    abnormalities also withholds a finding that is reported only with the site's thresholds.
    """
    own = np.array([[prediction.probabilities[finding] for finding in spec.findings]])
    correction = Correction.from_dict(calibration.correction)
    found = corrected(own, correction, spec.findings, spec.activation)[0]
    probabilities = dict(zip(spec.findings, found.tolist(), strict=True))
    used = spec_at_site(spec, calibration, keeps_sets=not correction.changes)
    measures = prediction.measures
    if reported(used, probabilities) != prediction.finding:
        # Both were measured for the finding that the model itself reports.
        measures = replace(measures, inside_lungs=None, shifted=None)
    return predict_from(used, probabilities, abstention=prediction.abstention, measures=measures)


def spec_at_site(spec: ModelSpec, calibration: SiteCalibration, *, keeps_sets: bool) -> ModelSpec:
    """The spec with the site's thresholds, without what was fitted on the model's own probabilities.

    Prediction sets hold their coverage only for these: where a calibration changes probabilities, there are
    none. With the site's thresholds alone they are made as before, with the finding that is reported now.
    """
    thresholds = {**spec.thresholds, **calibration.thresholds}
    sets = {} if keeps_sets else {"set_coverage": None, "set_floors": {}}
    return replace(
        spec, thresholds=thresholds, low_confidence=None, age_range=None, operating_curve={}, **sets
    )


def cam_at_site(cam: Cam, own: Prediction, shown: Prediction) -> Cam:
    """The maps; the share inside the lungs is dropped where another finding leads at the site."""
    before, after = (leading_finding(one.finding, one.probabilities) for one in (own, shown))
    return cam if before == after else replace(cam, inside_lungs=None)


def output_of(prediction: Prediction) -> dict[str, Any]:
    """The model's own output, as `Analysis.model_output` keeps it."""
    return {
        "probabilities": dict(prediction.probabilities),
        "finding": prediction.finding or "",
        "uncertainty": prediction.uncertainty,
    }
