"""The codes of result objects: SNOMED CT, DICOM and RadLex where they have one, else our own scheme 99HILUM.

docs/result-objects.md lists the scheme from these tables. A published code keeps its meaning.
"""

from __future__ import annotations

import hashlib

from pydicom.sr.coding import Code

from classifier.contract import finding_name
from classifier.reasons import AbstentionReason, ResultWarning

SCHEME, SCHEME_NAME = "99HILUM", "Hilum private codes"
SCHEME_UID = "2.25.119894207938146430148093021498104518241"
LONGEST = 16  # of a Code Value (SH)


def _own(value: str, meaning: str) -> Code:
    return Code(value, SCHEME, meaning)


# Findings of the shipped models and common ones of retraining; any other is coded by `finding_code`.
FINDINGS = {
    "normal": Code("17621005", "SCT", "Normal"),
    "pneumonia": Code("233604007", "SCT", "Pneumonia"),
    "covid19": Code("840539006", "SCT", "COVID-19"),
    "opacity": Code("112001", "DCM", "Opacity"),
    "pleural_effusion": Code("60046008", "SCT", "Pleural effusion"),
    "effusion": Code("60046008", "SCT", "Pleural effusion"),
    "pneumothorax": Code("36118008", "SCT", "Pneumothorax"),
    "cardiomegaly": Code("287272002", "SCT", "Cardiomegaly"),
    "edema": Code("19242006", "SCT", "Pulmonary edema"),
    "nodule": Code("27925004", "SCT", "Nodule"),
}
# RadLex has these as well; FHIR lists both.
RADLEX = {
    "pneumonia": Code("RID5350", "RADLEX", "pneumonia"),
    "pleural_effusion": Code("RID34539", "RADLEX", "pleural effusion"),
    "pneumothorax": Code("RID5352", "RADLEX", "pneumothorax"),
}
# Readings may also state these (`labels.selectors.ALONE`, OTHER).
STATEMENTS = {
    "other": _own("S1", "Other finding, see impression"),
    "inconclusive": _own("S2", "Non-diagnostic"),
}

RESULT = _own("R0", "AI result")
RESULT_STATUS = _own("R1", "Status of the AI result")
REPORTED = _own("R2", "Reported: probability at or above the threshold")
NO_FINDING_REPORTED = _own("R3", "No finding reaches its threshold")
FINDING_REPORTED = _own("R4", "A finding is reported")
WITHHELD = _own("R5", "Withheld: no finding is stated")
WITHHELD_REASON = _own("R6", "Reason for withholding the result")
WARNING = _own("R7", "Warning about the AI result")
UNCERTAINTY = _own("R8", "Uncertainty (normalised entropy)")
THRESHOLD = _own("R9", "Threshold of the probability")
CALIBRATION = _own("R10", "Calibration of the probability")
CALIBRATED = _own("R11", "Calibrated")
UNCALIBRATED = _own("R12", "Uncalibrated score")
IN_PREDICTION_SET = _own("R13", "In the prediction set")
MAP_REGION = _own("R14", "Heatmap at half strength or more, no outline")
MAP_OF = _own("R15", "Finding whose heatmap this is")
CHEST_REPORT = Code("18748-4", "LN", "Diagnostic imaging report")
PLACE_MEASURED = _own("M1", "Plane of the measured length")
AT_DETECTOR = _own("M2", "At the detector, not corrected")
IN_PATIENT = _own("M3", "Corrected to the patient")
CARDIOTHORACIC_RATIO = _own("M4", "Cardiothoracic ratio")
HEART_WIDTH = _own("M5", "Transverse width of the heart")
THORAX_WIDTH = _own("M6", "Transverse width of the thorax")
MARKED_PLACE = _own("M7", "Marked place")
PIXEL_VALUE = _own("M8", "Pixel value")

REASONS = {
    AbstentionReason.NOT_A_CHEST_XRAY: _own("W1", "Not a chest X-ray"),
    AbstentionReason.LATERAL_VIEW: _own("W2", "Lateral view"),
    AbstentionReason.LUNGS_CUT_OFF: _own("W3", "Lungs partly outside the image"),
    AbstentionReason.OUT_OF_DISTRIBUTION: _own("W4", "Image differs from the training data"),
    AbstentionReason.OUT_OF_POPULATION: _own("W5", "Age outside the training data"),
    AbstentionReason.OTHER_ABNORMALITY: _own("W6", "Possible abnormality unknown to the model"),
    AbstentionReason.LOW_CONFIDENCE: _own("W7", "Model uncertain between findings"),
    AbstentionReason.IMPLAUSIBLE_EVIDENCE: _own("W8", "Warnings contradict the result"),
}
WARNINGS = {
    ResultWarning.DATED_BEFORE_DISEASE: _own("D1", "Image older than the reported disease"),
    ResultWarning.MAP_OUTSIDE_LUNGS: _own("D2", "Heatmap mostly outside the lungs"),
    ResultWarning.UNUSUAL_IMAGE: _own("D3", "Image unlike the training images"),
    ResultWarning.MIRRORED: _own("D4", "Image may be mirrored"),
    ResultWarning.UNSTABLE: _own("D5", "Result changes when the image is moved"),
    ResultWarning.BURNED_IN_TEXT: _own("D6", "Burned-in text"),
}

YES, NO = Code("373066001", "SCT", "Yes"), Code("373067005", "SCT", "No")
PRESENT = Code("52101004", "SCT", "Present")
PRESENCE = _own("S0", "Stated by the reader")
PROBABILITY = Code("122157", "DCM", "Probability")
CLASS_ACTIVATION = Code("130402", "DCM", "Class activation")
RATIO = Code("1", "UCUM", "no units")
MILLIMETRE, PIXELS = Code("mm", "UCUM", "mm"), Code("{pixels}", "UCUM", "pixels")
DEGREE = Code("deg", "UCUM", "degree")
COMMENT = Code("121106", "DCM", "Comment")
IMPRESSION = Code("121073", "DCM", "Impression")
COMPARISON = Code("111424", "DCM", "Comparison to previous studies")
CHEST_IMAGING = Code("413815006", "SCT", "Chest imaging")
LENGTH, ANGLE = Code("410668003", "SCT", "Length"), Code("1483009", "SCT", "Angle")
STATISTICS = {
    "mean": Code("373098007", "SCT", "Mean"),
    "sd": Code("386136009", "SCT", "Standard Deviation"),
    "min": Code("255605001", "SCT", "Minimum"),
    "max": Code("56851009", "SCT", "Maximum"),
}
OF_INTEREST = Code("113000", "DCM", "Of Interest")
REJECTED = Code("113037", "DCM", "Rejected for Patient Safety Reasons")


def finding_code(finding: str) -> Code:
    """The code of a finding or of a reader's statement; one that no table knows is coded in 99HILUM."""
    known = FINDINGS.get(finding) or STATEMENTS.get(finding)
    if known:
        return known
    value = finding if len(finding) < LONGEST - 2 else hashlib.sha256(finding.encode()).hexdigest()[:12]
    return _own(f"F_{value}", finding_name(finding)[:64])


def own_codes() -> list[Code]:
    """All codes of 99HILUM, for the conformance statement."""
    constants = [value for value in globals().values() if isinstance(value, Code)]
    tables = [*STATEMENTS.values(), *REASONS.values(), *WARNINGS.values()]
    return [code for code in [*constants, *tables] if code.scheme_designator == SCHEME]
