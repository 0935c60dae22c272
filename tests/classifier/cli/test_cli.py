"""`python -m classifier`: every file gets its own result, in order, and the exit status reports the rest."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from classifier.__main__ import COMMANDS, main
from classifier.artifact import header as artifacts
from classifier.artifact.weights import load_artifact, save_artifact
from classifier.cli.inference import bench
from classifier.cli.inference.predict import BATCH
from classifier.contract import DISCLAIMER, ModelSpec, Slot, finding_name
from classifier.images.raster.png import read_working, write_grey
from classifier.images.sandbox.client import ParsingHelper
from classifier.networks.preprocess import to_input
from classifier.networks.registry import network_for
from classifier.reasons import ADVICE
from tests.classifier.images.archives import zipped
from tests.classifier.images.samples import chest, dataset, write

ROOT = Path(artifacts.__file__).parents[2]
KEYS = [
    "file",
    "status",
    "reason",
    "finding",
    "probabilities",
    "prediction_set",
    "other_abnormality",
    "warnings",
    "withheld",
    "cam",
    "model",
    "model_sha256",
    "seconds",
]
SPEC = ModelSpec(
    name="tiny-1",
    slot=Slot.CXR,
    findings=("normal", "pneumonia", "covid19"),
    layers=(1, 1, 1, 1),
    width=8,
    size=64,
    thresholds={"normal": 0.01, "pneumonia": 0.01, "covid19": 0.01},
)


def save(path: Path, spec: ModelSpec = SPEC) -> Path:
    torch.manual_seed(0)
    network = network_for(spec).eval()
    torch.nn.init.normal_(network.fc.weight, std=0.2)
    golden = np.random.default_rng(0).integers(0, 65536, (1, 70, 70), dtype=np.uint16)
    save_artifact(path, spec=spec, classifier_state=network.state_dict(), card={}, golden=golden)
    return path


@pytest.fixture(autouse=True)
def shipped(tmp_path_factory, monkeypatch) -> Path:
    """A folder of shipped models that holds one, for chest X-rays."""
    folder = tmp_path_factory.mktemp("artifacts")
    monkeypatch.setattr(artifacts, "SHIPPED", folder)
    return save(folder / "cxr.safetensors")


@pytest.fixture
def image(tmp_path: Path) -> Path:
    y, x = np.mgrid[:140, :100] / 140
    pixels = 65535 * (0.5 + 0.4 * np.sin(7 * x) * np.cos(5 * y))
    write_grey(tmp_path / "image.png", pixels.astype(np.uint16))
    return tmp_path / "image.png"


@pytest.fixture
def text(tmp_path: Path) -> Path:
    (tmp_path / "text.png").write_text("not an image")
    return tmp_path / "text.png"


def records(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_every_file_is_processed_in_its_place(capsys, image, text, shipped):
    assert main(["predict", str(image), str(text), "--json", "--device", "cpu"]) == 0
    processed, refused = records(capsys)
    assert [list(refused), list(processed)] == [KEYS, KEYS]
    assert (refused["file"], refused["status"], refused["reason"]) == (str(text), "refused", "not_an_image")
    assert refused["probabilities"] is refused["cam"] is refused["model"] is None
    assert (processed["file"], processed["status"], processed["reason"]) == (str(image), "ok", None)
    assert processed["model"] == "tiny-1"
    assert processed["model_sha256"] == artifacts.read_header(shipped).sha256
    assert processed["withheld"] is False
    assert np.array(processed["cam"]["grids"]["normal"]).shape == (2, 2)


def test_the_numbers_are_those_of_the_model_on_the_working_image(capsys, image, shipped, tmp_path):
    main(["predict", str(image), "--json", "--no-cam", "--device", "cpu"])
    (processed,) = records(capsys)
    assert processed["cam"] is None
    with ParsingHelper() as helper:
        files = helper.parse(image, tmp_path).files
    with torch.no_grad():
        working = to_input(read_working(tmp_path / files["working"]), SPEC)
        logits = load_artifact(shipped).network(working[None])
    expected = dict(zip(SPEC.findings, torch.softmax(logits, dim=1)[0].tolist(), strict=True))
    assert processed["probabilities"] == pytest.approx(expected, abs=1e-5)
    assert processed["finding"] == max(expected, key=expected.get)


def test_an_image_without_a_model_for_it_waits(capsys, image):
    assert main(["predict", str(image), "--json", "--modality", "ct"]) == 0
    (processed,) = records(capsys)
    assert (processed["status"], processed["reason"]) == ("abstained", "no_model_for_modality")
    assert processed["probabilities"] is None
    main(["predict", str(image), "--modality", "ct"])
    assert "--model" in capsys.readouterr().out


def test_a_named_model_reads_plain_images_as_its_own_kind(capsys, image, tmp_path):
    ct = save(tmp_path / "my.safetensors", replace(SPEC, slot=Slot.CT, hounsfield=(-1350.0, 150.0)))
    assert main(["predict", str(image), "--json", "--model", str(ct)]) == 0
    assert main(["predict", str(image), "--json", "--model", str(ct), "--modality", "cxr"]) == 0
    read_as_ct, read_as_cxr = records(capsys)
    assert read_as_ct["status"] == "ok"
    assert read_as_cxr["reason"] == "no_model_for_modality"


def test_a_missing_file_is_a_usage_error_that_leaves_the_others_alone(capsys, image):
    assert main(["predict", "/no/such/file.png", str(image), "--json"]) == 2
    captured = capsys.readouterr()
    assert [json.loads(line)["status"] for line in captured.out.splitlines()] == ["ok"]
    assert "/no/such/file.png" in captured.err


@pytest.mark.parametrize("options", [["--model", "{text}"], ["--model", "/none"], ["--device", "cuda:99"]])
def test_what_cannot_be_used_is_a_usage_error(capsys, image, text, options):
    assert main(["predict", str(image), *(option.format(text=text) for option in options)]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "Traceback" not in captured.err
    assert captured.err.strip()


def test_folders_are_walked_in_order(capsys, tmp_path):
    for name in ("b.png", "a/z.png", ".hidden.png", ".git/x.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text("no image")
    assert main(["predict", str(tmp_path), "--json"]) == 0
    assert [record["file"] for record in records(capsys)] == [
        str(tmp_path / "b.png"),
        str(tmp_path / "a/z.png"),
    ]


def test_people_get_sentences_and_the_disclaimer(capsys, image, text):
    assert main(["predict", str(image), str(text)]) == 0
    captured = capsys.readouterr()
    processed, refused = captured.out.splitlines()
    assert processed.startswith(str(image))
    assert all(finding_name(finding) in processed for finding in SPEC.findings)
    assert ADVICE["not_an_image"].remedy in refused
    assert DISCLAIMER in captured.err


def test_explain_draws_the_map_with_its_legend(capsys, image, tmp_path):
    out = tmp_path / "out.png"
    assert main(["explain", str(image), "--out", str(out), "--finding", "covid19"]) == 0
    with Image.open(out) as drawn:
        assert drawn.mode == "RGB"
        assert drawn.width == 100
        assert drawn.height > 140
        assert DISCLAIMER in drawn.text["Description"]
        assert "full strength at 1 logits" in drawn.text["Description"]


def test_another_explainer_is_called_relative(capsys, image, tmp_path):
    pytest.importorskip("pytorch_grad_cam")
    assert main(["explain", str(image), "--out", str(tmp_path / "o.png"), "--method", "hirescam"]) == 0
    assert "hirescam: relative" in capsys.readouterr().out


def test_what_got_no_prediction_cannot_be_explained(capsys, image, text, tmp_path):
    out = tmp_path / "out.png"
    assert main(["explain", str(text), "--out", str(out)]) == 1
    assert main(["explain", str(image), "--out", str(out), "--modality", "ct"]) == 1
    assert main(["explain", str(image), "--out", str(out), "--finding", "gout"]) == 2
    assert main(["explain", "/no/such.png", "--out", str(out)]) == 2
    assert not out.exists()
    assert ADVICE["not_an_image"].problem in capsys.readouterr().err


def test_verify_reports_a_true_model_from_a_changed_one(capsys, shipped, tmp_path):
    assert main(["verify", "--model", str(shipped), "--json"]) == 0
    assert records(capsys)[0]["verified"] is True
    data = shipped.read_bytes()
    spec, changed = SPEC.to_json().encode(), SPEC.to_json().replace('"std": 0.25', '"std": 0.05').encode()
    escape = [json.dumps(text.decode())[1:-1].encode() for text in (spec, changed)]
    assert escape[0] in data
    shipped.write_bytes(data.replace(*escape))
    assert main(["verify", "--model", str(shipped)]) == 1
    assert main(["verify", "--model", str(tmp_path / "none")]) == 2


def test_bench_compares_with_other_ways_in_the_same_run(capsys, shipped):
    options = ["--rounds", "1", "--batch", "2", "--engine", "pytorch", "--device", "cpu"]
    assert main(["bench", "--json", "--model", str(shipped), *options]) == 0
    (report,) = records(capsys)
    assert (report["batch"], report["engine"], report["precision"]) == (2, "pytorch", "fp32")
    speeds = {name: report[name] for name in (bench.EAGER, bench.FORWARD, bench.CAM, bench.PACKAGE)}
    assert all(speed > 0 for speed in speeds.values())
    assert report["speedup_vs_eager"] == speeds[bench.CAM] / speeds[bench.EAGER]
    assert report["speedup_vs_gradcam_package"] == speeds[bench.CAM] / speeds[bench.PACKAGE]
    assert report["cam_overhead"] == speeds[bench.FORWARD] / speeds[bench.CAM] - 1
    assert report["onnxruntime_ips"] > 0
    assert main(["bench", "--model", str(shipped), *options]) == 0
    assert "speedup_vs_gradcam_package" in capsys.readouterr().out


def test_help_does_not_wait_for_torch():
    program = "import sys; from classifier.__main__ import main\nfor args in {}:\n try: main(args)\n"
    program += " except SystemExit as end: assert not end.code\nassert 'torch' not in sys.modules"
    ours = [["--help"], *([name, "--help"] for name in ("predict", "explain", "verify", "bench"))]
    done = subprocess.run(
        [sys.executable, "-c", program.format(ours)], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert all(name in done.stdout for name in COMMANDS)


def test_an_unknown_command_is_a_usage_error(capsys):
    with pytest.raises(SystemExit) as caught:
        main(["diagnose"])
    assert caught.value.code == 2


def test_an_archive_is_processed_image_by_image(capsys, image, tmp_path):
    good, text = image.read_bytes(), b"not an image"
    inner = zipped({"c.png": good})
    zip_file, cut = tmp_path / "some.zip", tmp_path / "cut.zip"
    zip_file.write_bytes(
        zipped({"in/a.png": good, "b.png": text, "DICOMDIR": b"x", "inner.zip": inner, "notes.txt": text})
    )
    cut.write_bytes(zip_file.read_bytes()[:-30])
    options = ["--json", "--no-cam", "--device", "cpu"]
    assert main(["predict", str(zip_file), str(cut), str(image), *options]) == 0
    captured = capsys.readouterr()
    reported = [json.loads(line) for line in captured.out.splitlines()]
    assert [(record["file"], record["status"], record["reason"]) for record in reported] == [
        (f"{zip_file}/in/a.png", "ok", None),
        (f"{zip_file}/b.png", "refused", "not_an_image"),
        (f"{zip_file}/inner.zip/c.png", "ok", None),
        (str(cut), "refused", "undecodable"),
        (str(image), "ok", None),
    ]
    assert reported[0]["probabilities"] == reported[2]["probabilities"] == reported[4]["probabilities"]
    assert f"{zip_file}: skipped (DICOMDIR): DICOMDIR" in captured.err
    assert f"{zip_file}: skipped (not an image): notes.txt" in captured.err
    assert f"{cut}: The archive is damaged or incomplete." in captured.err


def test_an_archive_of_more_than_a_batch_is_processed_in_order(capsys, image, tmp_path):
    names = [f"{n:02}.png" for n in range(BATCH + 3)]
    for place in ("a.zip", "b.zip"):
        (tmp_path / place).write_bytes(zipped(dict.fromkeys(names, image.read_bytes())))
    image.unlink()
    assert main(["predict", str(tmp_path), "--json", "--no-cam"]) == 0
    expected = [f"{tmp_path}/{place}/{name}" for place in ("a.zip", "b.zip") for name in names]
    reported = records(capsys)
    assert [record["file"] for record in reported] == expected
    assert {record["status"] for record in reported} == {"ok"}


def test_a_dicomdir_is_skipped_in_a_folder_and_refused_by_name(capsys, tmp_path):
    directory = dataset(chest(), SOPClassUID="1.2.840.10008.1.3.10")
    for name in ("DICOMDIR", "by-its-content"):
        write(tmp_path / name, directory)
    assert main(["predict", str(tmp_path), "--json"]) == 0
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err.count("skipped (DICOMDIR)") == 2
    assert main(["predict", str(tmp_path / "DICOMDIR"), "--json"]) == 0
    (reported,) = records(capsys)
    assert (reported["status"], reported["reason"]) == ("refused", "not_an_image")
