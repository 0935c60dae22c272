"""What a result object is made from: values only, no rows and no files.

Points are in pixels, 0 at the outer edge of the first one (PS3.3 C.10.5.1.2, C.18.6.1.2).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time
from typing import Any
from uuid import UUID

import numpy as np

Point = tuple[float, float]
RESEARCH_USE = "AI result, research use"


@dataclass(frozen=True)
class Reference:
    """An object that exists elsewhere, as a DICOM reference names it."""

    study_uid: str
    series_uid: str
    sop_class_uid: str
    sop_uid: str


@dataclass(frozen=True)
class Geometry:
    """How the displayed image follows from the stored one, which has `rows` and `columns`.

    `steps` are those of `classifier.images.geometry.turns`; `shown`: rows and columns of the displayed image.
    """

    rows: int
    columns: int
    shown: tuple[int, int]
    steps: Sequence[str] = ()

    def stored(self, points: Any) -> np.ndarray:
        """Points (n, 2) of x and y in the displayed image as points of the stored one."""
        moved = np.array(points, dtype=float).reshape(-1, 2)
        turned = "transpose" in self.steps
        wide, high = (self.rows, self.columns) if turned else (self.columns, self.rows)
        moved = moved * [wide / self.shown[1], high / self.shown[0]]
        if "flip_horizontally" in self.steps:
            moved[:, 0] = wide - moved[:, 0]
        if "flip_vertically" in self.steps:
            moved[:, 1] = high - moved[:, 1]
        return moved[:, ::-1].copy() if turned else moved


@dataclass(frozen=True)
class SourceImage:
    """The image that a result is about, with its patient and study. `converted`: it was no DICOM file.

    `orientation`: directions of the displayed image's rows and columns, empty where they are not known.
    """

    reference: Reference
    geometry: Geometry
    modality: str
    patient_id: str
    issuer: str = ""
    patient_name: str = ""
    birth_date: date | None = None
    sex: str = ""
    accession_number: str = ""
    study_date: date | None = None
    study_time: time | None = None
    study_description: str = ""
    orientation: Sequence[str] = ()
    converted: bool = False
    burned_in: bool = False
    synthetic: bool = False


@dataclass(frozen=True)
class Maker:
    """The device that states the result, and where it stands."""

    site: str
    version: str
    serial: str
    device_uid: str
    manufacturer: str = "Hilum"
    model: str = "Hilum"


@dataclass(frozen=True)
class FindingValue:
    """The probability of a finding, with the threshold from which it is reported."""

    finding: str
    probability: float
    threshold: float


@dataclass(frozen=True)
class AnalysisResult:
    """One model version's result on one image. `withheld`, an abstention's code: it states no finding."""

    id: UUID
    finished_at: datetime
    model: str
    model_name: str
    model_sha256: str
    calibration: str
    calibrated: bool
    values: Sequence[FindingValue]
    finding: str = ""
    withheld: str = ""
    warnings: Sequence[str] = ()
    warning_texts: Sequence[str] = ()
    uncertainty: float | None = None
    prediction_set: Sequence[str] = ()
    cam: Mapping[str, Any] | None = None

    @property
    def leading(self) -> str:
        """The finding whose heatmap is drawn: the reported one, else the most probable but `normal`."""
        from classifier.contract import leading_finding

        return leading_finding(self.finding or None, {v.finding: v.probability for v in self.values})


@dataclass(frozen=True)
class SignedReading:
    """A reader's signed statement on all images of a study."""

    id: UUID
    signed_at: datetime
    person: str  # DICOM person name
    findings: Sequence[str]
    impression: str = ""
    comparison: str = ""
    sha256: str = ""


@dataclass(frozen=True)
class SavedMark:
    """A measurement or mark of one person; `kind` and `values` as in `labels.marks`."""

    id: UUID
    saved_at: datetime
    kind: str
    points: Sequence[Point]
    text: str
    values: Mapping[str, Any]


@dataclass(frozen=True)
class Document:
    """What identifies one object: its own UIDs, number and time, and the earlier documents it replaces."""

    series_uid: str
    sop_uid: str
    number: int
    made_at: datetime
    replaces: Sequence[Reference] = field(default_factory=tuple)
