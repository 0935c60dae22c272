"""What a site calibration would do on the site's labelled scans, before it is set."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
from django.utils import timezone

from classifier.contract import NORMAL, ModelSpec, finding_name
from classifier.evaluation.site import correction as site_correction
from classifier.evaluation.site import operating_point as points
from classifier.evaluation.site import prevalence as shares
from classifier.evaluation.site.correction import Correction
from webapp.accounts.models import Site, User
from webapp.accounts.permissions import Permission
from webapp.accounts.services import demand
from webapp.labels.calibration.cases import LabelledCases, Stream, labelled_cases, stream
from webapp.labels.calibration.choices import (
    BY_RATE,
    CHOSEN,
    LABELS,
    STATED,
    STREAM,
    UNCHANGED,
    Choices,
    check_choices,
)
from webapp.registry.calibrations import active_calibration, validation_prevalence
from webapp.registry.models import ModelVersion

LEAST_LABELLED = 50  # scans on which a finding is labelled, to choose its threshold
FEW = 10  # with or without a finding: below, intervals are wide
LEAST_STREAM = 200


@dataclass
class Preview:
    """What a calibration would do on the site's labelled scans, before it is set.

    `counts`: by finding, labelled scans, with and without it. `shares`: by finding, its share in the model's
    validation data, among the labelled scans and (if asked) in the stream, with intervals. `current` and
    `proposed`: thresholds, measures by finding, and alarms as reported. `problems`: why it cannot be set.
    """

    choices: Choices
    until: datetime
    cases: LabelledCases
    counts: dict[str, dict[str, int]]
    correction: Correction = field(default_factory=Correction)
    shares: dict[str, dict[str, Any]] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)
    current: dict[str, Any] = field(default_factory=dict)
    proposed: dict[str, Any] = field(default_factory=dict)
    curves: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """The evidence that is kept with the calibration."""
        return {
            "until": self.until.isoformat(),
            "scans": len(self.cases),
            "patients": len(set(self.cases.patients)),
            "withheld": self.cases.withheld,
            "fingerprint": self.cases.fingerprint,
            **{name: getattr(self, name) for name in ("counts", "shares", "current", "proposed", "warnings")},
        }


def preview(
    *, site: Site, version: ModelVersion, choices: Choices, by: User, until: datetime | None = None
) -> Preview:
    """What these choices would do; raises CodedError `forbidden`, or `invalid` with the fields."""
    demand(by, Permission.CALIBRATION_MANAGE, site)
    spec = version.model_spec
    check_choices(choices, spec)
    cases = labelled_cases(site, version)
    found = Preview(choices, until or timezone.now(), cases, label_counts(cases, spec))
    found.correction = _recalibration(found, spec)
    _add_prevalence(found, site, version)
    shown = site_correction.corrected(cases.probabilities, found.correction, spec.findings, spec.activation)
    found.thresholds = _thresholds(found, shown, spec)
    found.current, found.proposed = _measured(found, shown, site, version)
    _add_curves(found, shown, spec)
    _warn(found, spec)
    return found


def label_counts(cases: LabelledCases, spec: ModelSpec) -> dict[str, dict[str, int]]:
    """By finding: on how many scans it is labelled, and how many of these have it and lack it."""
    counts = {}
    for k, finding in enumerate(spec.findings):
        labelled, present = int(cases.known[:, k].sum()), int(cases.targets[:, k].sum())
        counts[finding] = {"labelled": labelled, "present": present, "absent": labelled - present}
    return counts


def _recalibration(found: Preview, spec: ModelSpec) -> Correction:
    """The fitted recalibration; with too few labels, none, and the problem is noted."""
    method, cases = found.choices.recalibration, found.cases
    if method == site_correction.NONE:
        return Correction()
    try:
        return site_correction.fit(
            method, cases.probabilities, cases.targets, cases.known, spec.findings, spec.activation
        )
    except ValueError as error:
        found.problems.append(str(error))
        return Correction()


def _add_prevalence(found: Preview, site: Site, version: ModelVersion) -> None:
    """Compare the prevalences, and put the chosen one into the correction."""
    spec, cases, asked = version.model_spec, found.cases, found.choices.prevalence
    prior = dict(found.correction.prior) or validation_prevalence(version)
    labelled = shares.of_labels(cases.targets, cases.known, cases.patients, spec.findings)
    estimated: dict[str, Any] = {}
    if asked == STREAM and prior:
        estimated = _of_stream(found, stream(site, version, until=found.until), prior, spec)
    model = validation_prevalence(version)
    found.shares = {
        finding: {
            "model": model.get(finding),
            "labels": labelled.get(finding),
            "stream": estimated.get(finding),
        }
        for finding in spec.findings
    }
    if asked == UNCHANGED:
        return
    if not prior:
        found.problems.append(
            "The model card does not state how common the findings were in its validation data, so the "
            "prevalence cannot be corrected without recalibration."
        )
        return
    chosen = {
        LABELS: lambda: shares.smoothed(cases.targets, cases.known, spec.findings, spec.activation),
        STREAM: lambda: {finding: share["value"] for finding, share in estimated.items()},
        STATED: lambda: dict(found.choices.shares),
    }[asked]()
    least = min((count["labelled"] for count in found.counts.values()), default=0)
    if asked == LABELS and least < LEAST_LABELLED:
        found.problems.append(
            f"The prevalence of the labelled scans needs {LEAST_LABELLED} scans on which every finding is "
            f"labelled; there are {least}."
        )
        return
    if chosen:
        values = vars(found.correction) | {"prior": prior, "prevalence": chosen}
        found.correction = Correction(**values)


def _of_stream(
    found: Preview, results: Stream, prior: Mapping[str, float], spec: ModelSpec
) -> dict[str, Any]:
    if len(results.patients) < LEAST_STREAM:
        found.problems.append(
            f"Estimating the prevalence without labels needs {LEAST_STREAM} results; "
            f"there are {len(results.patients)}."
        )
        return {}
    own = site_correction.recalibrated(
        results.probabilities, found.correction, spec.findings, spec.activation
    )
    return shares.of_stream(own, results.patients, prior, spec.findings, spec.activation)


def _thresholds(found: Preview, shown: np.ndarray, spec: ModelSpec) -> dict[str, float]:
    """The proposed threshold of each finding; the model's where the rule cannot choose one."""
    own = {finding: spec.threshold(finding) for finding in spec.findings}
    rule, chosen = found.choices.rule, dict(own)
    few = [finding for finding in spec.findings if found.counts[finding]["labelled"] < LEAST_LABELLED]
    for finding in spec.findings:
        if rule == CHOSEN:
            chosen[finding] = found.choices.thresholds[finding]
            if finding in few and abs(chosen[finding] - own[finding]) > 0.0005:
                found.problems.append(_too_few(found, finding))
        if rule == BY_RATE and finding in few:
            found.warnings.append(f"{_too_few(found, finding)} Its threshold stays the model's.")
        elif rule == BY_RATE:
            chosen[finding] = _by_rate(found, shown, spec, finding) or own[finding]
    if rule == BY_RATE and len(few) == len(spec.findings):
        most = max((count["labelled"] for count in found.counts.values()), default=0)
        found.problems.append(
            f"Choosing thresholds needs {LEAST_LABELLED} labelled scans with a result of this model; "
            f"there are {most}."
        )
    return chosen


def _by_rate(found: Preview, shown: np.ndarray, spec: ModelSpec, finding: str) -> float | None:
    """The threshold by the stated false-alarm rate, that of `normal` by Youden's index, as in an artifact."""
    cases, k, rate = found.cases, spec.findings.index(finding), found.choices.rate
    rows = cases.known[:, k]
    if finding == NORMAL:
        return points.youden_threshold(shown[rows, k], cases.targets[rows, k] == 1)
    clear = points.clear_scans(cases.targets, cases.known, spec.findings, finding)
    threshold = points.threshold_for(shown[rows, k], clear[rows], rate)
    if threshold is None:
        found.warnings.append(
            f"{finding_name(finding)}: a false-alarm rate of {100 * rate:.1f} % needs "
            f"{points.fewest_clear_scans(rate)} scans labelled normal; there are {int(clear.sum())}. "
            "Its threshold stays the model's."
        )
    return threshold


def _too_few(found: Preview, finding: str) -> str:
    labelled = found.counts[finding]["labelled"]
    return f"{finding_name(finding)}: {labelled} labelled scans; its threshold needs {LEAST_LABELLED}."


def _measured(
    found: Preview, shown: np.ndarray, site: Site, version: ModelVersion
) -> tuple[dict[str, Any], dict[str, Any]]:
    """The operating point that the site has now, and the proposed one, on the same scans."""
    spec, cases = version.model_spec, found.cases
    now = active_calibration(site, version)
    before, thresholds = cases.probabilities, {f: spec.threshold(f) for f in spec.findings}
    if now:
        correction = Correction.from_dict(now.correction)
        before = site_correction.corrected(before, correction, spec.findings, spec.activation)
        thresholds = now.thresholds
    # Both at the same prevalence, or they could not be compared.
    prevalence = found.correction.prevalence or None
    both = []
    for probabilities, used in ((before, thresholds), (shown, found.thresholds)):
        side: dict[str, Any] = {"thresholds": dict(used), "findings": {}, "alarms": None}
        if len(cases):
            labels = (cases.targets, cases.known, spec.findings, used, cases.patients)
            side["findings"] = points.operating_points(probabilities, *labels, prevalence=prevalence)
            side["alarms"] = points.alarm_rates(probabilities, *labels, decision=spec.decision)
        both.append(side)
    both[0]["calibration"] = now.number if now else None
    return both[0], both[1]


def _add_curves(found: Preview, shown: np.ndarray, spec: ModelSpec) -> None:
    for k, finding in enumerate(spec.findings):
        rows = found.cases.known[:, k]
        if not rows.any():
            continue
        scores, positive = shown[rows, k], found.cases.targets[rows, k] == 1
        clear = points.clear_scans(found.cases.targets, found.cases.known, spec.findings, finding)[rows]
        at = points.thresholds_shown(scores, clear, found.thresholds[finding])
        share = found.correction.prevalence.get(finding)
        patients = found.cases.patients[rows]
        found.curves[finding] = points.curve(scores, positive, patients, at, clear=clear, prevalence=share)


def _warn(found: Preview, spec: ModelSpec) -> None:
    """What makes the preview uncertain or wrong, as sentences."""
    cases = found.cases
    for finding in spec.findings:
        count, name = found.counts[finding], finding_name(finding)
        for side, word in (("present", "with"), ("absent", "without")):
            if count["labelled"] and count[side] < FEW:
                found.warnings.append(
                    f"{name}: only {count[side]} labelled scans {word} it. The interval is wide."
                )
    if cases.selected:
        found.warnings.append(
            f"{cases.selected} of {len(cases)} labelled scans are in label queues ordered by uncertainty, "
            "disagreement or drift: they are not a random sample, and the measures may be wrong. Use a queue "
            "in random order."
        )
    if cases.withheld:
        found.warnings.append(f"{cases.withheld} labelled scans are left out because the result is withheld.")
    for finding, share in found.shares.items():
        labels, estimate = share["labels"], share["stream"]
        if not labels or not estimate or None in (labels["low"], estimate["low"]):
            continue
        if estimate["high"] < labels["low"] or estimate["low"] > labels["high"]:
            unfitted = found.choices.recalibration == site_correction.NONE
            found.warnings.append(
                f"{finding_name(finding)}: estimated at {100 * estimate['value']:.1f} % of all results, "
                f"but {100 * labels['value']:.1f} % of the labelled scans. Either these are not a random "
                "sample, or the images differ from those that the probabilities were calibrated on and the "
                f"estimate is wrong.{' Recalibrate first.' if unfitted else ''}"
            )
