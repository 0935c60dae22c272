from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest

from classifier.__main__ import main
from classifier.artifact.header import read_header
from classifier.artifact.weights import load_artifact, verify_golden
from classifier.contract import DISCLAIMER, ModelSpec, Slot
from classifier.data.manifest import Row
from classifier.evaluation.model_card import ABOUT, build, check_about, counts, render

ROOT = Path(__file__).resolve().parents[3]
ARTIFACTS = ROOT / "artifacts"
SPEC = ModelSpec(name="tiny", slot=Slot.CXR, findings=("left", "right"), temperature=1.25)
MEASURE = {"value": 0.81234, "low": 0.7, "high": 0.9}


def row(number: int, finding: str | None, part: str, patient: str) -> Row:
    findings = (finding,) if finding else None
    return Row(f"{number}.png", Path(f"{number}.png"), findings, patient, "north", part)


ROWS = [
    row(0, "left", "train", "a"),
    row(1, "left", "train", "a"),
    row(2, "left", "test", "b"),
    row(3, None, "val", "c"),
]


def card(**about):
    decided = dict.fromkeys(("auc", "sensitivity", "specificity", "ppv", "npv", "f1"), MEASURE)
    within = {
        "cases": 9,
        "patients": 8,
        "accuracy": MEASURE,
        "pairs": {"left against right": {"cases": 9, "auc": MEASURE}},
    }
    return build(
        SPEC,
        rows=ROWS,
        training={"options": {"seed": 3}, "pretrained": False, "history": [], "torch": "2"},
        calibration={
            "cases": 1,
            "temperature": 1.25,
            "cam_scale": 0.5,
            "thresholds": {"left": {"threshold": 0.4, "sensitivity": 0.9, "specificity": 0.8}},
        },
        found={
            "cases": 9,
            "patients": 8,
            "overall": {"accuracy": MEASURE},
            "findings": {"left": {"present": 1, **decided}},
            "confusion": {"findings": ["left", "right"], "counts": [[4, 1], [2, 2]]},
            "reported": {"right": 0.75, "none": 0.125},
            "sources": {"north": within},
        },
        about=about,
    )


def test_images_and_patients_are_counted_by_source_finding_and_part():
    left, unknown = counts(ROWS)
    assert left == {"source": "north", "finding": "left", "patients": 2, "train": 2, "val": 0, "test": 1}
    assert (unknown["finding"], unknown["val"]) == ("unknown", 1)


def test_the_card_shows_measures_with_their_intervals():
    text = render(card(), SPEC)
    assert DISCLAIMER in text
    assert "| accuracy | 0.812 (0.700 to 0.900) |" in text
    assert "| north | Left vs. Right | 9 | 0.812 (0.700 to 0.900) |" in text
    assert "| Left | 4 | 1 |" in text
    assert "temperature 1.250" in text


def test_the_card_states_which_part_of_an_image_is_seen():
    assert "| input | the whole image, 224 x 224 grey" in render(card(), SPEC)
    assert "| input | the box around the lungs, 224 x 224 grey" in render(card(), replace(SPEC, crop="lungs"))


def test_options_are_reported_that_were_given_and_short_trainings_in_parts_of_a_minute():
    facts = card()
    epoch = {"epoch": 1, "size": 96, "minutes": 0.0794, "val_loss": 0.9, "val_balanced_accuracy": 0.5}
    facts["training"] |= {"options": {"seed": 3, "where": []}, "history": [epoch]}
    text = render(facts, SPEC)
    assert "Options: seed 3." in text
    assert "| 1 | 96 | 0.1 | 0.900 | 0.500 |" in text


def test_what_only_people_know_is_reported_and_the_rest_is_left_out():
    text = render(card(title="A title", limits=["Knows two findings."], licence="Research only."), SPEC)
    assert "# Model card: A title" in text
    assert "- Knows two findings." in text
    assert "## Licence" in text
    assert "## Intended use" not in text


@pytest.mark.parametrize("about", [{"colour": "red"}, {"limits": "none"}, ["title"]])
def test_statements_that_no_card_has_are_refused(about):
    with pytest.raises(ValueError, match="statement"):
        check_about(about)


def test_a_card_without_facts_is_still_a_card():
    assert render({}, SPEC).startswith("# Model card: tiny")


@pytest.fixture
def shipped() -> Path:
    return ARTIFACTS / "cxr.safetensors"


def test_the_shipped_model_still_gives_its_golden_results(shipped):
    assert verify_golden(load_artifact(shipped)) < 1e-3


def test_the_shipped_models_card_is_complete_and_is_the_one_in_the_documentation(shipped, capsys):
    header = read_header(shipped)
    assert set(header.card["about"]) >= set(ABOUT)
    assert main(["model-card", str(shipped)]) == 0
    assert capsys.readouterr().out == (ROOT / "docs" / "model-card.md").read_text()


def test_the_shipped_model_is_calibrated_and_has_thresholds_of_its_own(shipped):
    header = read_header(shipped)
    assert header.spec.slot is Slot.CXR
    assert header.spec.calibrated
    assert set(header.spec.thresholds) == set(header.spec.findings)
    assert {line["finding"] for line in header.card["images"]} >= set(header.spec.findings)


def test_the_shipped_models_statements_are_those_with_it(shipped):
    about = json.loads((ARTIFACTS / "cxr.about.json").read_text())
    assert read_header(shipped).card["about"] == check_about(about)


def test_all_shipped_models_together_stay_small():
    assert sum(path.stat().st_size for path in ARTIFACTS.iterdir()) < 50 * 2**20


def test_the_card_reports_what_the_input_check_stops_and_how_well_lungs_are_found():
    rate = {"n": 50, "stopped": 1, "rate": 0.02, "low": 0.004, "high": 0.105}
    lateral = rate | {"group": "lateral_chest", "reasons": {"lateral_view": 1}}
    dice = {"mean": 0.94, "low": 0.92, "high": 0.95, "worst": 0.73, "n": 50}
    facts = card() | {
        "gate": {"held_out": [lateral], "same_groups": [], "steps": 9, "measured_steps": 4},
        "segmenter": {
            "images": {"train": 180},
            "patients": {"train": 108},
            "dice": {"test": {"both": dice}},
            "empty": {"ct": {"n": 9, "empty": 8}},
        },
    }
    text = render(facts, SPEC)
    assert "| lateral_chest | 50 | 1 | 0.020 (0.004 to 0.105) | lateral view 1 |" in text
    assert "that it was trained on:" not in text
    assert "It was trained for 9 steps, the held-out input checks for 4." in text
    assert "| test | both | 50 | 0.940 (0.920 to 0.950) | 0.730 |" in text
    assert "with an empty result: ct 8 of 9." in text
    assert "## Input check" not in render(card(), SPEC)
