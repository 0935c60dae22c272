from __future__ import annotations

import re
import subprocess
import sys

import bootstrap
import pytest

LOCKS = ("requirements.txt", "requirements-dev.txt", "requirements-cuda.txt")
CPU_PINS = ["torch==1+cpu", "torchvision==2+cpu"]


@pytest.fixture
def clone(tmp_path, monkeypatch):
    for name, text in zip(LOCKS, ("one==1\n", "one==1\ntwo==2\n", "nvidia==1\n"), strict=True):
        (tmp_path / name).write_text(text)
    (tmp_path / "requirements-torch.txt").write_text("# a comment\ntorch==1\ntorchvision==2\n")
    monkeypatch.setattr(bootstrap, "ROOT", tmp_path)
    monkeypatch.setattr(bootstrap, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(bootstrap, "installed_python", lambda: "3.11")
    monkeypatch.setattr(bootstrap, "is_cpu_build", lambda: False)
    monkeypatch.setattr(sys, "argv", ["bootstrap.py"])
    monkeypatch.delenv("TORCH", raising=False)
    (tmp_path / ".venv").mkdir()
    return tmp_path


@pytest.fixture
def calls(monkeypatch) -> list[tuple[str, ...]]:
    made: list[tuple[str, ...]] = []
    monkeypatch.setattr(bootstrap, "pip", lambda *arguments: bool(made.append(arguments)) or True)
    return made


def test_it_installs_once_and_again_only_when_a_pin_changes(clone, calls):
    assert [bootstrap.main(), bootstrap.main()] == [0, 0]
    assert [call[-1] for call in calls] == [
        "requirements.txt",
        "requirements-torch.txt",
        "requirements-cuda.txt",
    ]
    (clone / "requirements.txt").write_text("one==2\n")
    assert bootstrap.main() == 0
    assert len(calls) == 6


def test_all_but_torch_is_checked_against_hashes(clone, calls):
    bootstrap.main()
    assert ["--require-hashes" in call for call in calls] == [True, False, True]


def test_a_cpu_build_from_a_local_folder_takes_no_cuda_packages(clone, calls, monkeypatch):
    monkeypatch.setattr(bootstrap, "is_cpu_build", lambda: True)
    assert bootstrap.main() == 0
    assert "requirements-cuda.txt" not in [call[-1] for call in calls]


def test_a_failed_installation_is_tried_again(clone, monkeypatch, capsys):
    monkeypatch.setattr(bootstrap, "pip", lambda *_: False)
    assert bootstrap.main() == 1
    assert "network" in capsys.readouterr().err
    assert not list((clone / ".venv").glob("*.stamp"))


def test_the_cpu_build_is_asked_for_once_at_its_own_index(clone, calls, monkeypatch):
    monkeypatch.setenv("TORCH", "cpu")
    assert bootstrap.main() == 0
    assert calls[1][-2:] == tuple(CPU_PINS)
    assert calls[1][calls[1].index("--retries") + 1] == "0"
    assert len(calls) == 2


def test_without_the_cpu_index_the_cuda_build_is_offered_and_not_installed(clone, monkeypatch, capsys):
    monkeypatch.setenv("TORCH", "cpu")
    monkeypatch.setattr(bootstrap, "pip", lambda *arguments: bootstrap.CPU_INDEX not in arguments)
    assert bootstrap.main() == 1
    shown = capsys.readouterr().err
    assert "without TORCH=cpu" in shown
    assert "PIP_FIND_LINKS" in shown


def test_torch_cpu_replaces_a_cuda_build(clone, calls, monkeypatch):
    bootstrap.main()
    monkeypatch.setenv("TORCH", "cpu")
    assert bootstrap.main() == 0
    assert calls[-1][-2:] == tuple(CPU_PINS)


def test_an_unknown_torch_build_is_rejected(clone, calls, monkeypatch, capsys):
    monkeypatch.setenv("TORCH", "rocm")
    assert bootstrap.main() == 1
    assert "TORCH=cpu" in capsys.readouterr().err
    assert calls == []


def test_download_fills_the_folder_and_installs_nothing(clone, calls, monkeypatch):
    monkeypatch.setattr(sys, "argv", ["bootstrap.py", "--download", str(clone / "wheelhouse")])
    assert bootstrap.main() == 0
    assert {call[0] for call in calls} == {"download"}
    assert len(calls) == 3


def test_make_names_the_supported_versions_when_no_python_fits():
    done = subprocess.run(["make", "setup", "PYTHON="], cwd=bootstrap.ROOT, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11, 3.12 or 3.13" in done.stderr


def blocks(name: str) -> dict[str, str]:
    """Each package's line and hashes."""
    text = (bootstrap.ROOT / name).read_text()
    return {block.split("==")[0]: block for block in re.findall(r"^\w.*\n(?:    .*\n)*", text, re.MULTILINE)}


def test_every_package_of_the_lock_has_hashes():
    for name in LOCKS:
        assert [package for package, block in blocks(name).items() if "--hash=sha256:" not in block] == []


def test_installing_the_packages_of_the_tests_changes_no_runtime_package():
    runtime, development = blocks("requirements.txt"), blocks("requirements-dev.txt")
    assert {name: development.get(name) for name in runtime} == runtime


def test_every_package_named_in_the_inputs_is_locked_at_that_version():
    locked = {
        name: block for lock in (*LOCKS, "requirements-torch.txt") for name, block in blocks(lock).items()
    }
    for name in ("requirements.in", "requirements-dev.in"):
        for line in (bootstrap.ROOT / name).read_text().splitlines():
            if line and not line.startswith(("#", "-r")):
                package, _, version = line.partition("==")
                block = locked[re.sub(r"[-_.]+", "-", re.sub(r"\[.*\]", "", package)).lower()]
                assert block.split("==")[1].startswith(version), f"{line}: run make lock"
