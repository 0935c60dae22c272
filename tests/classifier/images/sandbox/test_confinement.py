"""Code of an attacker inside a decoder: what it reaches, and what the client believes of its response."""

from __future__ import annotations

import json
import os
import socket
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from classifier.errors import Refused
from classifier.images.archive.listing import Unpacked
from classifier.images.limits import ArchiveLimits, Limits
from classifier.images.sandbox import client, response
from classifier.images.sandbox.client import HelperFailed, HelperUnconfined, ParsingHelper
from tests.classifier.images.samples import chest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="Landlock and seccomp are Linux's")
ROOT = Path(__file__).resolve().parents[4]


@pytest.fixture
def attacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[[str], Any]]:
    """Runs Python text in place of the decoders; what it stores in `seen` is the detail of its refusal."""
    helpers = []

    def attack(code: str, sandbox: str = "strict") -> Any:
        module = tmp_path / "takenover.py"
        module.write_text(
            f"""
import sys
sys.path.insert(0, {str(ROOT)!r})
from classifier.images.sandbox import confinement, helper
{"" if sandbox == "strict" else "confinement._CLONE_NEWUSER = confinement._CLONE_NEWNET = -1"}

def parse(request):
    import os, socket, subprocess, json, ctypes
    seen = "nothing"
    try:
{"".join(f"        {line}{chr(10)}" for line in code.strip().splitlines())}
    except Exception as error:
        seen = type(error).__name__
    return {{"refused": "undecodable", "detail": str(seen)}}

helper._parse = parse
helper.main()
"""
        )

        helper = ParsingHelper(sandbox)
        helper.module = "takenover"
        helpers.append(helper)
        return helper

    monkeypatch.setattr(client, "_ROOT", tmp_path)  # the folder that the helper is loaded from
    yield attack
    for helper in helpers:
        helper.close()


def seen_by(helper: ParsingHelper, folder: Path) -> str:
    (folder / "x.png").write_bytes(b"hostile")
    (folder / "out").mkdir(exist_ok=True)
    with pytest.raises(Refused) as caught:
        helper.parse(folder / "x.png", folder / "out")
    return caught.value.detail


@pytest.mark.parametrize("family", ["AF_INET", "AF_UNIX", "AF_NETLINK"])
def test_there_is_no_socket_to_the_database_or_anywhere(attacked, tmp_path: Path, family: str) -> None:
    assert seen_by(attacked(f"seen = socket.socket(socket.{family})"), tmp_path) == "PermissionError"


def test_there_is_no_socket_where_the_network_cannot_be_left(attacked, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        code = f"seen = socket.create_connection(('127.0.0.1', {server.getsockname()[1]}), 2)"
        assert seen_by(attacked(code, "degraded"), tmp_path) == "PermissionError"


def test_other_files_can_neither_be_read_nor_listed(attacked, tmp_path: Path) -> None:
    (tmp_path / "secret-key").write_text("secret")
    assert seen_by(attacked(f"seen = open({str(tmp_path / 'secret-key')!r}).read()"), tmp_path) == (
        "PermissionError"
    )
    assert seen_by(attacked(f"seen = os.listdir({str(tmp_path)!r})"), tmp_path) == "PermissionError"
    assert seen_by(attacked("seen = open('/proc/1/environ').read()"), tmp_path) == "PermissionError"


@pytest.mark.parametrize(
    "code",
    [
        "open({target!r}, 'w').write('x')",
        "os.rename(request['out_dir'] + '/x', {target!r})",
        "os.unlink({target!r})",
        "os.symlink({target!r}, request['out_dir'] + '/link')",
        "os.link({target!r}, request['out_dir'] + '/link')",
        "os.chmod({target!r}, 0o777)",
    ],
)
def test_other_files_can_not_be_changed_or_linked(attacked, tmp_path: Path, code: str) -> None:
    target = tmp_path / "media"
    target.write_text("intact")
    code = "open(request['out_dir'] + '/x', 'w').close()\n" + code.format(target=str(target))
    assert seen_by(attacked(code), tmp_path) in ("PermissionError", "OSError")
    assert target.read_text() == "intact"


@pytest.mark.parametrize(
    "code",
    [
        "seen = os.fork()",
        "seen = subprocess.run(['/bin/true']).returncode",
        "os.execv('/bin/true', ['true'])",
        "os.kill(os.getppid(), 9)",
        "ctypes.CDLL(None, use_errno=True).ptrace(16, os.getppid(), 0, 0) == 0 or os.kill(os.getppid(), 0)",
    ],
)
def test_there_is_no_daemon_and_no_other_process(attacked, tmp_path: Path, code: str) -> None:
    assert seen_by(attacked(code), tmp_path) in ("PermissionError", "BlockingIOError")


def test_no_file_of_the_helper_is_inherited(attacked, tmp_path: Path) -> None:
    code = """
seen = []
for handle in range(64):
    try:
        os.fstat(handle)
        seen.append(handle)
    except OSError:
        pass
seen = len([handle for handle in seen if handle > 2])
"""
    assert seen_by(attacked(code), tmp_path) == "1"  # the pipe of this file's own response


def test_the_next_files_response_can_not_be_forged(attacked, tmp_path: Path) -> None:
    forged = json.dumps({"nonce": "0" * 32, "refused": "undecodable", "detail": "forged"})
    code = f"""
for handle in range(64):
    try:
        os.write(handle, ({forged!r} + chr(10)).encode() * 3)
    except OSError:
        pass
"""
    helper = attacked(code)
    first = seen_by(helper, tmp_path)
    assert first != "forged"
    assert seen_by(helper, tmp_path) == first


def test_what_the_client_receives_carries_the_requests_own_nonce(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    stale = {"nonce": "of another request", "refused": "undecodable", "detail": "forged"}
    with ParsingHelper() as helper:
        monkeypatch.setattr(helper, "_receive", lambda seconds: dict(stale, open=[]))
        (tmp_path / "x.png").write_bytes(b"x")
        with pytest.raises(Refused) as caught:
            helper.parse(tmp_path / "x.png", tmp_path)
    assert caught.value.detail == "the parsing helper crashed on this file"


def test_it_does_not_start_where_it_cannot_be_confined(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ParsingHelper, "_receive", lambda self, seconds: {"open": ["network", "files"]})
    with pytest.raises(HelperUnconfined, match=r"open: network, files.*HILUM_SANDBOX=degraded"):
        ParsingHelper().start()
    assert issubclass(HelperUnconfined, HelperFailed)
    helper = ParsingHelper("degraded")
    helper.start()
    assert helper.open_layers == ["network", "files"]
    helper.close()


def test_here_every_layer_holds() -> None:
    with ParsingHelper() as helper:
        assert helper.open_layers == []


# --- What the client believes -----------------------------------------------------------------------


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    shade = chest(96, 80).astype(np.uint16)
    for name, kind in (("display", np.uint16), ("working", np.uint16), ("preview", np.uint8)):
        Image.fromarray(shade.astype(kind)).save(tmp_path / f"{name}.png")
    return tmp_path


def facts(**changes: Any) -> dict[str, Any]:
    return {
        "rows": 96, "columns": 80, "slot": "cxr", "synthetic": False, "polarity_turned": False,
        "slope": 1.0, "intercept": 0.0, "window_center": 1.0, "window_width": 2.0, "pixel_sha256": "0" * 64,
        "burned_in": "", "notes": {}, "metadata": {"PatientID": "4711"}, "files": dict(response.FILES),
    } | changes  # fmt: skip


def believed(folder: Path, raw: Any) -> bool:
    try:
        response.parse_result(raw, folder, response.FILES, Limits().output_bytes)
    except Refused:
        return False
    return True


def test_an_honest_result_is_believed(folder: Path) -> None:
    assert believed(folder, facts())


@pytest.mark.parametrize(
    "changes",
    [
        {"files": response.FILES | {"display": "/etc/passwd"}},
        {"files": response.FILES | {"original": "../secret-key"}},
        {"files": {}},
        {"rows": 95},
        {"rows": True},
        {"rows": 10**30},
        {"columns": "80"},
        {"slope": float("nan")},
        {"slot": "exe"},
        {"pixel_sha256": "../../x"},
        {"burned_in": "perhaps"},
        {"metadata": {"PatientID": "x" * 100_000}},
        {"metadata": [["PatientID", "4711"]]},
        {"notes": {"a": {"b": {"c": {"d": {"e": {"f": {"g": {"h": {"i": 1}}}}}}}}}},
        {"surprise": 1},
    ],
)
def test_a_forged_fact_is_refused(folder: Path, changes: dict[str, Any]) -> None:
    assert not believed(folder, facts(**changes))


@pytest.mark.parametrize("raw", [None, [], "ok", 7, {}])
def test_something_else_than_facts_is_refused(folder: Path, raw: Any) -> None:
    assert not believed(folder, raw)


def replace(folder: Path, how: str) -> None:
    image, secret = folder / "display.png", folder / "secret"
    secret.write_bytes(image.read_bytes())
    image.unlink()
    {
        "link": lambda: image.symlink_to(secret),
        "second name": lambda: image.hardlink_to(secret),
        "pipe": lambda: os.mkfifo(image),
        "folder": image.mkdir,
        "text": lambda: image.write_text("SECRET_KEY=…" * 20),
        "absent": lambda: None,
    }[how]()


@pytest.mark.parametrize("how", ["link", "second name", "pipe", "folder", "text", "absent"])
def test_only_a_regular_png_is_taken_over(folder: Path, how: str) -> None:
    replace(folder, how)
    assert not believed(folder, facts())


def test_only_members_that_are_there_are_taken_over(tmp_path: Path) -> None:
    (tmp_path / "0").write_bytes(b"image")
    (tmp_path / "1").symlink_to("/etc/passwd")

    def believed(*members: Any, skipped: Any = ()) -> Unpacked | None:
        raw = {"members": list(members), "skipped": list(skipped)}
        try:
            return response.unpacked(raw, tmp_path, ArchiveLimits())
        except Refused:
            return None

    good = {"name": "a.png", "file": "0", "size": 5}
    assert believed(good).members[0].file == "0"
    for wrong in ({"file": "1"}, {"file": "../0"}, {"file": "٠"}, {"size": 6}, {"name": 7}, {"more": 1}):
        assert believed(good | wrong) is None
    assert believed(good, good) is None
    assert believed(skipped=[{"reason": "bored", "count": 1, "names": []}]) is None


@pytest.mark.parametrize(
    ("raw", "error"),
    [
        ({"failed": [2, "no such file"]}, FileNotFoundError),
        ({"failed": [10**30, "x"]}, Refused),
        ({"failed": "x"}, Refused),
        ({"refused": "bribed", "detail": "x"}, Refused),
        ({"refused": ["x"], "detail": "x"}, Refused),
        ({"refused": "undecodable", "detail": {"a": 1}}, Refused),
        ({"exhausted": ["x"]}, Refused),
    ],
)
def test_a_response_without_result_raises_what_it_stands_for(raw: dict, error: type[Exception]) -> None:
    with pytest.raises(error):
        response.checked(raw)
