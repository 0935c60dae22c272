"""`python -m classifier evaluate`."""

from __future__ import annotations

import csv
import json

import pytest
from PIL import Image

from classifier.__main__ import main
from classifier.artifact.weights import save_artifact
from classifier.contract import ModelSpec, Slot
from classifier.evaluation.evaluate import summary
from classifier.networks.registry import network_for
from tests.classifier.collection import write_collection


@pytest.fixture
def model(tmp_path):
    spec = ModelSpec(
        name="tiny", slot=Slot.CXR, findings=("left", "right"), layers=(1, 1, 1, 1), width=4, size=64
    )
    state = network_for(spec).state_dict()
    save_artifact(tmp_path / "m.safetensors", spec=spec, classifier_state=state, card={})
    return tmp_path / "m.safetensors"


@pytest.fixture
def evaluate(model):
    quick = ["--draws", "10", "--device", "cpu", "--json"]
    return lambda manifest, *more: main(
        ["evaluate", "--model", str(model), "--manifest", str(manifest), *quick, *more]
    )


def test_the_command_scores_a_model_and_writes_every_result(evaluate, tmp_path, capsys):
    manifest = write_collection(tmp_path / "images", patients=8)
    (tmp_path / "images" / "000-0.png").write_text("no image")
    more = ["--predictions", str(tmp_path / "p.csv"), "--prevalence", "left=0.02"]
    assert evaluate(manifest, *more) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["cases"], found["patients"]) == (15, 8)
    assert found["no_result"] == {"000-0.png": "not_an_image"}
    assert found["not_withheld"]["coverage"] == pytest.approx(15 / 16)
    assert set(found["sources"]) == {"north", "south"}
    assert found["findings"]["left"]["prevalence"] == 0.02
    assert "accuracy" in summary(found)
    with (tmp_path / "p.csv").open() as file:
        table = csv.DictReader(file)
        results = list(table)
    assert table.fieldnames == ["image", "finding", "status", "reason", "p_left", "p_right"]
    assert list(results[0].values()) == ["000-0.png", "left", "refused", "not_an_image", "", ""]
    assert [a["image"] for a in results[:3]] == ["000-0.png", "000-1.png", "001-0.png"]
    for result in results[1:]:
        assert (result["status"], result["reason"]) == ("ok", "")
        assert float(result["p_left"]) + float(result["p_right"]) == pytest.approx(1, abs=1e-5)


def test_the_curves_are_drawn_where_they_are_asked_for(evaluate, tmp_path, capsys):
    assert evaluate(write_collection(tmp_path / "images", patients=8), "--figures", str(tmp_path / "f")) == 0
    names = {path.name for path in (tmp_path / "f").iterdir()}
    kinds = ("roc", "precision-recall", "reliability", "confusion")
    assert names == {f"{kind}.{end}" for kind in kinds for end in ("png", "svg")}
    with Image.open(tmp_path / "f" / "roc.png") as image:
        assert min(image.size) > 600
    assert "<svg" in (tmp_path / "f" / "roc.svg").read_text()


@pytest.mark.parametrize("finding", ["", "gout"])
def test_images_that_cannot_be_scored_are_refused_in_words(evaluate, tmp_path, capsys, finding):
    manifest = write_collection(tmp_path / "images", patients=2)
    manifest.write_text(
        manifest.read_text().replace(",left,", f",{finding},").replace(",right,", f",{finding},")
    )
    assert evaluate(manifest) == 1
    assert "Evaluation failed" in capsys.readouterr().err


@pytest.mark.parametrize("given", ["left", "left=2", "left=x"])
def test_a_prevalence_that_is_none_is_a_usage_error(evaluate, given, capsys):
    with pytest.raises(SystemExit) as caught:
        evaluate("manifest.csv", "--prevalence", given)
    assert caught.value.code == 2


def test_a_manifest_that_cannot_be_read_is_refused_in_words(tmp_path, capsys):
    (tmp_path / "manifest.csv").write_text("image,finding\n")
    code = main(["evaluate", "--model", str(tmp_path / "gone"), "--manifest", str(tmp_path / "manifest.csv")])
    assert code == 1
    assert "Evaluation failed" in capsys.readouterr().err
