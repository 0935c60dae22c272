"""Why a scan is refused or a result withheld, and what to do about it.

Standard library only, as `classifier.contract`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

NO_MODEL_FOR_MODALITY = "no_model_for_modality"


class RefusalReason(StrEnum):
    """Why a scan was refused; decided without a model, and final."""

    NOT_AN_IMAGE = "not_an_image"
    UNDECODABLE = "undecodable"
    UNSUPPORTED_MODALITY = "unsupported_modality"
    TOO_SMALL = "too_small"
    TOO_UNIFORM = "too_uniform"
    TOO_LARGE = "too_large"


class AbstentionReason(StrEnum):
    """Why one model version withholds its result for a scan; the probabilities are stored and marked."""

    NOT_A_CHEST_XRAY = "not_a_chest_xray"
    LATERAL_VIEW = "lateral_view"
    LUNGS_CUT_OFF = "lungs_cut_off"
    OUT_OF_DISTRIBUTION = "out_of_distribution"
    OUT_OF_POPULATION = "out_of_population"
    OTHER_ABNORMALITY = "other_abnormality"
    LOW_CONFIDENCE = "low_confidence"
    IMPLAUSIBLE_EVIDENCE = "implausible_evidence"


class ResultWarning(StrEnum):
    """A doubt about one result; `classifier.result_warnings` states when that withholds it."""

    DATED_BEFORE_DISEASE = "dated_before_disease"
    MAP_OUTSIDE_LUNGS = "map_outside_lungs"
    UNUSUAL_IMAGE = "unusual_image"
    MIRRORED = "mirrored"
    UNSTABLE = "unstable"
    BURNED_IN_TEXT = "burned_in_text"


@dataclass(frozen=True)
class Advice:
    """A reason in words: the problem, and what to do about it."""

    problem: str
    remedy: str


# Details of refusals that have advice of their own.
PIXELS_MISSING = "the pixel data is shorter than the header declares"
PIXELS_EXTRA = "the pixel data is several times as long as the header declares"

IMAGE_ADVICE = {
    PIXELS_MISSING: Advice(
        "The file has less pixel data than its header declares: it is incomplete, or the header is wrong.",
        "Export the file from the PACS again and upload the new copy.",
    ),
    PIXELS_EXTRA: Advice(
        "The file has several times as much pixel data as its header declares: the header is wrong.",
        "Export the file from the PACS again, one image per file, and upload the new copy.",
    ),
}

ADVICE: Mapping[str, Advice] = {
    RefusalReason.NOT_AN_IMAGE: Advice(
        "The file is not a DICOM, PNG, JPEG, TIFF or WebP image.",
        "Export the image from the PACS as DICOM (or PNG, JPEG, TIFF, WebP) and upload that.",
    ),
    RefusalReason.UNDECODABLE: Advice(
        "The image is damaged, incomplete or in an unsupported encoding.",
        "Export the file again, uncompressed if possible, and upload the new copy.",
    ),
    RefusalReason.UNSUPPORTED_MODALITY: Advice(
        "The file is not a single X-ray projection or CT slice.",
        "Upload a frontal chest X-ray (CR, DX) or a single CT slice, one image per file.",
    ),
    RefusalReason.TOO_SMALL: Advice(
        "The image has too few pixels.",
        "Upload the original, not a thumbnail; each side needs at least 64 pixels.",
    ),
    RefusalReason.TOO_UNIFORM: Advice(
        "The image is blank or nearly so.", "Check the export: the image has no visible structure."
    ),
    RefusalReason.TOO_LARGE: Advice(
        "The file or its image is too large.",
        "Upload single images within the limits; split a series or volume.",
    ),
    AbstentionReason.NOT_A_CHEST_XRAY: Advice(
        "This does not look like a chest X-ray.", "Upload a frontal chest X-ray, or label it manually."
    ),
    AbstentionReason.LATERAL_VIEW: Advice(
        "This looks like a lateral view.", "Upload the frontal view, or label it manually."
    ),
    AbstentionReason.LUNGS_CUT_OFF: Advice(
        "Part of the lungs lies outside the image.", "Upload the whole view, or label it manually."
    ),
    AbstentionReason.OUT_OF_DISTRIBUTION: Advice(
        "The image differs from the training data of the model.", "Read it without the model."
    ),
    AbstentionReason.OUT_OF_POPULATION: Advice(
        "The patient's age is outside the training data of the model.", "Read it without the model."
    ),
    AbstentionReason.OTHER_ABNORMALITY: Advice(
        "The image may show an abnormality that the model does not know.", "Read it without the model."
    ),
    AbstentionReason.LOW_CONFIDENCE: Advice(
        "The model is uncertain between findings.", "Read it without the model."
    ),
    AbstentionReason.IMPLAUSIBLE_EVIDENCE: Advice(
        "The warnings for this image contradict the result.", "Read it without the model."
    ),
    ResultWarning.DATED_BEFORE_DISEASE: Advice(
        "The image is older than the first known case of the reported finding.", "Check the study date."
    ),
    ResultWarning.MAP_OUTSIDE_LUNGS: Advice(
        "Most of the heatmap lies outside the lungs.", "Look at the marked areas."
    ),
    ResultWarning.UNUSUAL_IMAGE: Advice(
        "The image is unlike the images that the model was trained on.", "Read it without the model."
    ),
    ResultWarning.MIRRORED: Advice(
        "The image may be mirrored.", "Check the side marker and the position of the heart."
    ),
    ResultWarning.UNSTABLE: Advice(
        "The result changes when the image is moved slightly.", "Read it without the model."
    ),
    ResultWarning.BURNED_IN_TEXT: Advice(
        "The image contains burned-in text, which may influence the result.", "Compare with the heatmap."
    ),
    NO_MODEL_FOR_MODALITY: Advice(
        "No model is active for this kind of image.",
        "The scan is analysed as soon as an administrator promotes a model for it.",
    ),
}
