"""Examples in the OpenAPI schema."""

from __future__ import annotations

from drf_spectacular.utils import OpenApiExample

from classifier.contract import DISCLAIMER

SCAN, PATIENT, STUDY = (f"6f1f64f0-3d0a-4f8e-9d58-0a6a54a5b0d{n}" for n in (1, 2, 3))
ANALYSIS, MODEL = (f"0b8a2c1e-7f57-4f0c-8a55-5d0c6d3f1e4{n}" for n in (1, 2))
TIME = "2026-11-20T08:00:00Z"


SCAN_EXAMPLE = OpenApiExample(
    "A scan with one result",
    {
        "id": SCAN, "status": "done", "reason": None, "detail": None, "remedy": None, "patient_id": "P-7",
        "patient_uuid": PATIENT, "study_uuid": STUDY, "modality": "cxr", "synthetic": False,
        "polarity_turned": False, "rows": 2048, "columns": 2048, "view_position": "PA", "acquired_at": TIME,
        "notes": {}, "duplicate_of": None, "received_at": TIME,
        "analyses": [
            {
                "id": ANALYSIS, "scan": SCAN, "status": "done", "reason": None, "finding": "pneumonia",
                "probabilities": {"pneumonia": 0.82, "normal": 0.11, "covid19": 0.07}, "calibration": "model",
                "thresholds": {"pneumonia": 0.5, "normal": 0.5, "covid19": 0.5},
                "model_probabilities": {"pneumonia": 0.82, "normal": 0.11, "covid19": 0.07},
                "prediction_set": {"findings": ["pneumonia"], "coverage": 0.9, "text": "Pneumonia"},
                "limits": "Outside the origins of its training data, it reported a finding on 12 % of normal "
                "images (clinic B); it detected 71 % of images with a finding (clinic B).",
                "warnings": [
                    {
                        "code": "unstable", "remedy": "Read it without the model.",
                        "text": "The result changes when the image is moved slightly. Moved by 3 %: normal.",
                    }
                ],
                "withheld": False, "uncertainty": 0.54,
                "cam": {
                    "grids": {"pneumonia": [[0.1, 0.9], [0.2, 1.4]]}, "affine": [1024, 0, 0, 0, 1024, 0],
                    "scale": 2.0, "inside_lungs": 0.93,
                },
                "model": {
                    "id": MODEL, "name": "cxr-3", "slot": "cxr", "sha256": "0" * 64, "calibrated": True,
                    "thresholds": {"pneumonia": 0.5, "normal": 0.5, "covid19": 0.5},
                },
                "seconds": 0.1, "created_at": TIME,
            }
        ],
        "members": [], "members_total": 0, "skipped": [], "disclaimer": DISCLAIMER,
    },
    response_only=True,
    status_codes=["200", "201"],
)  # fmt: skip
SEARCH_EXAMPLE = OpenApiExample("By patient ID", {"q": "P-7"}, request_only=True)
LABEL_EXAMPLE = OpenApiExample(
    "A label outside of a queue",
    {"scan": SCAN, "findings": {"pneumonia": "present", "normal": "absent"}, "confidence": 2, "blind": True},
    request_only=True,
)
WEBHOOK_EXAMPLE = OpenApiExample(
    "Finished analyses",
    {"url": "https://ehr.example.org/hilum", "kinds": ["analysis.done"]},
    request_only=True,
)
DESTINATION_EXAMPLE = OpenApiExample(
    "A PACS over TLS",
    {
        "name": "PACS",
        "kind": "dicom",
        "host": "pacs.example.org",
        "port": 2762,
        "called_ae": "PACS",
        "tls": True,
    },
    request_only=True,
)
TRAINING_EXAMPLE = OpenApiExample(
    "On a snapshot, from the active model",
    {"snapshot": SCAN, "start": "active", "config": {"epochs": 20, "seed": 0}},
    request_only=True,
)
MOVE_EXAMPLE = OpenApiExample(
    "By patient ID",
    {"patient_id": "P-8", "create": True, "reason": "Wrong patient selected"},
    request_only=True,
)
