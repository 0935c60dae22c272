"""The types and constants that all parts of Hilum share: slots, findings, ModelSpec, Prediction.

Standard library only: the web process imports this module and must never import torch.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from enum import StrEnum
from typing import Any, NamedTuple

from classifier.reasons import AbstentionReason, ResultWarning
from classifier.result_warnings import UNMEASURED, Measures, Warned, WarningLimits, warned

DISCLAIMER = "Research and quality-improvement use; not a medical device."
ARTIFACT_FORMAT_VERSION = 1
WORKING_MAX_SIDE = 1024
ENGINES = ("auto", "pytorch", "onnxruntime", "openvino")  # what computes; `auto` chooses
NORMAL = "normal"
AGE_BANDS = ((1, "<1"), (6, "1-5"), (18, "6-17"), (40, "18-39"), (65, "40-64"), (float("inf"), "65+"))
FINDING_NAMES = {"covid19": "COVID-19"}


def finding_name(finding: str) -> str:
    """The display name of a finding: `covid19` is COVID-19, `pleural_effusion` is Pleural effusion."""
    return FINDING_NAMES.get(finding) or finding.replace("_", " ").capitalize()


def finding_in_text(finding: str) -> str:
    """The name of a finding within a sentence: COVID-19, but pleural effusion."""
    return FINDING_NAMES.get(finding) or finding.replace("_", " ")


def findings_in_text(findings: Sequence[str]) -> str:
    """Several findings as a choice, at the beginning of a sentence: Normal, COVID-19 or pneumonia."""
    *others, last = (finding_in_text(finding) for finding in findings)
    text = f"{', '.join(others)} or {last}" if others else last
    return text[:1].upper() + text[1:]


def age_band(age: float | None) -> str:
    """The band of an age in years, empty if unknown."""
    return "" if age is None else next(name for below, name in AGE_BANDS if age < below)


class Slot(StrEnum):
    """A kind of image; each slot has one active model, and each scan belongs to one slot."""

    CXR = "cxr"
    CT = "ct"
    PHANTOM = "phantom"


class OperatingPoint(NamedTuple):
    """What a threshold gives on validation images: shares from 0 to 1.

    `false_alarms` are normal images at or above it: of all origins, and of the origin with most.
    """

    threshold: float
    sensitivity: float
    false_alarms: float
    worst_false_alarms: float


@dataclass(frozen=True)
class ModelSpec:
    """Everything that inference needs besides the weights; stored in the artifact.

    `layers` and `width` describe the ResNet (50 layers: (3, 4, 6, 3) at width 64). `size` is the side of the
    square input in pixels. With `crop` "lungs" the input is the box around both lungs found by the artifact's
    segmenter, extended by `crop_margin` of its size on each side, else the whole image. Black and white are
    `clip_percentiles` of the input or, in a CT slice, the ends of the `hounsfield` window. `cam_scale` is the
    grid value, in logits, drawn at full strength; it is fixed on validation data. Logits are divided by
    `temperature`, then `bias` is added (default 0); a temperature of None means uncalibrated probabilities.
    `decision` names the reported one of the findings at or above their thresholds: the most probable
    ("highest"), or the most probable other than `normal`, and `normal` only where it is the only one
    ("abnormal_first"). `operating_curve` lists other thresholds of a finding, rising, with what they give.
    A finding from its probability in `set_floors` on is in the prediction set, which holds the true one with
    the probability `set_coverage` (None: no sets).
    A reported finding other than `normal` is withheld where `Measures.other_abnormality` is above the limit
    `other_abnormality` (None: no limit), and for warnings by `warning_limits` (None: no warnings).
    """

    name: str
    slot: Slot
    findings: tuple[str, ...]
    arch: str = "resnetv2"
    layers: tuple[int, ...] = (3, 4, 6, 3)
    width: int = 64
    head: str = "pool_linear"
    activation: str = "softmax"
    size: int = 224
    resize: str = "squash"
    crop: str = "whole"
    crop_margin: float = 0.1
    clip_percentiles: tuple[float, float] = (0.5, 99.5)
    hounsfield: tuple[float, float] | None = None
    mean: float = 0.5
    std: float = 0.25
    temperature: float | None = None
    bias: Mapping[str, float] = field(default_factory=dict)
    thresholds: Mapping[str, float] = field(default_factory=dict)
    decision: str = "highest"
    operating_curve: Mapping[str, tuple[OperatingPoint, ...]] = field(default_factory=dict)
    set_coverage: float | None = None
    set_floors: Mapping[str, float] = field(default_factory=dict)
    low_confidence: float | None = None
    other_abnormality: float | None = None
    warning_limits: WarningLimits | None = None
    age_range: tuple[float, float] | None = None
    cam_scale: float = 1.0
    provenance: Mapping[str, Any] = field(default_factory=dict)
    format_version: int = ARTIFACT_FORMAT_VERSION

    def __post_init__(self) -> None:
        if self.format_version != ARTIFACT_FORMAT_VERSION:
            raise ValueError(f"artifact format version {self.format_version} is not supported")
        if self.activation not in {"softmax", "sigmoid"}:
            raise ValueError(f"unknown activation {self.activation!r}")
        if len(set(self.findings)) != len(self.findings) or len(self.findings) < 2:
            raise ValueError("a model needs at least two distinct findings")
        if not all(isinstance(finding, str) and finding for finding in self.findings):
            raise ValueError("findings must be non-empty strings")
        self._check_input()
        if min(self.std, self.cam_scale, 1.0 if self.temperature is None else self.temperature) <= 0:
            raise ValueError("std, cam_scale and temperature must be positive")
        unknown = (set(self.thresholds) | set(self.bias)) - set(self.findings)
        if unknown:
            raise ValueError(f"thresholds or biases name unknown findings: {sorted(unknown)}")
        if not all(math.isfinite(value) for value in dict(self.bias).values()):
            raise ValueError("biases must be finite numbers")
        self._check_decision()

    def _check_decision(self) -> None:
        if self.decision not in {"highest", "abnormal_first"}:
            raise ValueError(f"unknown decision {self.decision!r}")
        for finding, curve in dict(self.operating_curve).items():
            if finding not in self.findings:
                raise ValueError(f"operating_curve names the unknown finding {finding!r}")
            thresholds = [point.threshold for point in curve]
            if thresholds != sorted(thresholds) or not all(0 <= v <= 1 for point in curve for v in point):
                raise ValueError(f"operating_curve of {finding!r}: not rising, or values outside 0 to 1")
        floors = dict(self.set_floors)
        if set(floors) != (set() if self.set_coverage is None else set(self.findings)):
            raise ValueError("set_floors must name all findings, and needs set_coverage")
        if not all(0 <= value <= 1 for value in (*floors.values(), self.set_coverage or 0)):
            raise ValueError("set_floors and set_coverage must be between 0 and 1")

    def _check_input(self) -> None:
        if not 32 <= self.size <= 2048:
            raise ValueError(f"an input size of {self.size} pixels is not supported (32 to 2048)")
        if self.crop not in {"whole", "lungs"} or not 0 <= self.crop_margin <= 1:
            raise ValueError(f"unknown crop {self.crop!r}, or crop_margin {self.crop_margin} outside 0 to 1")
        if (self.hounsfield is not None) is not (self.slot is Slot.CT):
            raise ValueError("models for CT slices need a hounsfield window; other models must not have one")
        if self.hounsfield and not self.hounsfield[0] < self.hounsfield[1]:
            raise ValueError(f"hounsfield {self.hounsfield} is not in ascending order")
        if not 0 <= self.clip_percentiles[0] < self.clip_percentiles[1] <= 100:
            raise ValueError(f"clip_percentiles {self.clip_percentiles} are not in ascending order")

    @property
    def calibrated(self) -> bool:
        return self.temperature is not None

    def threshold(self, finding: str) -> float:
        return float(self.thresholds.get(finding, 0.5))

    def to_json(self) -> str:
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str) -> ModelSpec:
        """Parse a spec. Raises ValueError for a malformed one or another format version."""
        try:
            raw = dict(json.loads(text))
            unknown = set(raw) - {f.name for f in fields(cls)}
            if unknown:
                raise ValueError(f"unknown fields {sorted(unknown)}")
            raw["slot"] = Slot(raw["slot"])
            for key in ("findings", "layers", "clip_percentiles", "hounsfield", "age_range"):
                if raw.get(key) is not None:
                    raw[key] = tuple(raw[key])
            curves = dict(raw.get("operating_curve") or {})
            if raw.get("warning_limits") is not None:
                raw["warning_limits"] = WarningLimits.from_dict(raw["warning_limits"])
            raw["operating_curve"] = {f: tuple(OperatingPoint(*p) for p in c) for f, c in curves.items()}
            return cls(**raw)
        except (KeyError, TypeError) as error:
            raise ValueError(f"malformed model spec: {error}") from error


class PredictionSet(NamedTuple):
    """The findings, most probable first, that hold the true one with the probability `coverage`."""

    findings: tuple[str, ...]
    coverage: float


@dataclass(frozen=True)
class Prediction:
    """A probability per finding, the reported finding (None: see `ModelSpec.decision`) and the uncertainty.

    Uncertainty is the entropy of the calibrated probabilities relative to its maximum, 0 (certain) to 1; with
    sigmoid outputs, the mean binary entropy of the findings. `warnings` follow from the `measures`.
    """

    probabilities: Mapping[str, float]
    finding: str | None
    uncertainty: float
    abstention: AbstentionReason | None = None
    prediction_set: PredictionSet | None = None
    measures: Measures = UNMEASURED
    warnings: tuple[ResultWarning, ...] = ()

    @property
    def withheld(self) -> bool:
        return self.abstention is not None


def predict_from(
    spec: ModelSpec,
    probabilities: Mapping[str, float],
    *,
    age: float | None = None,
    abstention: AbstentionReason | None = None,
    measures: Measures = UNMEASURED,
) -> Prediction:
    """The prediction of a model version for a scan, from its calibrated probabilities.

    `age` is the patient's age in years, if known; `abstention` the reason of the input check, if any.
    """
    finding = reported(spec, probabilities)
    positive = None if finding == NORMAL else finding
    found = warned(spec.warning_limits, measures, positive) if spec.warning_limits else Warned()
    prediction = Prediction(
        probabilities=dict(probabilities),
        finding=finding,
        uncertainty=normalised_entropy(spec, probabilities),
        prediction_set=_prediction_set(spec, probabilities, finding),
        measures=measures,
        warnings=found.warnings,
    )
    reason = abstention or _abstention(spec, prediction, age) or found.abstention
    return replace(prediction, abstention=reason)


def reported(spec: ModelSpec, probabilities: Mapping[str, float]) -> str | None:
    """The finding that these probabilities report, None where none reaches its threshold."""
    above = [f for f in spec.findings if probabilities[f] >= spec.threshold(f)]
    if spec.decision == "abnormal_first":
        above = [f for f in above if f != NORMAL] or above
    return max(above, key=lambda f: probabilities[f], default=None)


def _prediction_set(
    spec: ModelSpec, probabilities: Mapping[str, float], finding: str | None
) -> PredictionSet | None:
    """With the most probable and the reported finding, so that no set is empty or contradicts the report."""
    if spec.set_coverage is None:
        return None
    ranked = sorted(spec.findings, key=lambda f: -probabilities[f])
    always = {ranked[0], finding}
    chosen = (f for f in ranked if f in always or probabilities[f] >= spec.set_floors[f])
    return PredictionSet(tuple(chosen), spec.set_coverage)


def _abstention(spec: ModelSpec, prediction: Prediction, age: float | None) -> AbstentionReason | None:
    other, limit = prediction.measures.other_abnormality, spec.other_abnormality
    unknown = other is not None and limit is not None and not other <= limit
    if spec.age_range and age is not None and not spec.age_range[0] <= age <= spec.age_range[1]:
        return AbstentionReason.OUT_OF_POPULATION
    if unknown and prediction.finding not in (None, NORMAL):
        return AbstentionReason.OTHER_ABNORMALITY
    if spec.low_confidence is not None and prediction.uncertainty > spec.low_confidence:
        return AbstentionReason.LOW_CONFIDENCE
    return None


def leading_finding(finding: str | None, probabilities: Mapping[str, float]) -> str:
    """The reported finding, else the most probable one other than `normal`."""
    if finding:
        return finding
    abnormal = {name: value for name, value in probabilities.items() if name != NORMAL}
    return max(abnormal or probabilities, key=probabilities.__getitem__)


def normalised_entropy(spec: ModelSpec, probabilities: Mapping[str, float]) -> float:
    values = [min(max(float(probabilities[f]), 0.0), 1.0) for f in spec.findings]
    if spec.activation == "softmax":
        return _entropy(values) / math.log(len(values))
    return sum(_entropy([p, 1 - p]) for p in values) / (len(values) * math.log(2))


def _entropy(values: list[float]) -> float:
    return -sum(p * math.log(p) for p in values if p > 0)


# Explanation methods. Closed-form maps have a fixed scale; relative maps are scaled to their own maximum.
CLOSED_FORM = "gradcam"
RELATIVE = ("gradcam++", "hirescam", "layercam", "eigencam", "scorecam")
EXPLAINERS = (CLOSED_FORM, *RELATIVE)


@dataclass(frozen=True)
class Cam:
    """Class activation maps of one scan with their geometry and scale.

    `grids[finding][row][col]` is the contribution of a cell in logits; the mean over cells is the logit
    without its bias (softmax: minus the mean of the classes). `affine` (a, b, c, d, e, f) maps the grid point
    (col, row) to the pixel (x, y) of the original image, x = a*col + b*row + c, y = d*col + e*row + f;
    integers are cell and pixel centres. `scale` is the value drawn at full strength. `inside_lungs` is the
    share of the positive map of the `leading_finding` inside the lungs, None without a segmenter.
    """

    grids: Mapping[str, list[list[float]]]
    affine: tuple[float, float, float, float, float, float]
    scale: float
    inside_lungs: float | None = None

    def as_dict(self) -> dict[str, Any]:
        return {
            "grids": dict(self.grids),
            "affine": list(self.affine),
            "scale": self.scale,
            "inside_lungs": self.inside_lungs,
        }
