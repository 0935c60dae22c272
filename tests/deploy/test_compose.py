"""docker-compose.yml against the compose specification, and the promises that it makes."""

from __future__ import annotations

import re
import runpy
import secrets
from pathlib import Path

import compose_spec
import pytest
import yaml

ROOT = Path(__file__).resolve().parents[2]
PARTS = {"web", "worker-ingest", "worker-infer", "worker-train", "worker-notify", "beat"}
ENVIRONMENT = {
    "HILUM_HOST": "hilum.example.org",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "POSTGRES_PASSWORD": "p",
    "REDIS_PASSWORD": "r",
}


def interpolated(text: str, environment: dict[str, str]) -> str:
    """Compose's `${NAME}`, `${NAME:-default}` and `${NAME:?message}`; `$$` is a dollar sign."""

    def value(match: re.Match[str]) -> str:
        name, operator, word = match["name"], match["operator"], match["word"] or ""
        if environment.get(name):
            return environment[name]
        if operator == ":?":
            raise KeyError(f"{name}: {word}")
        return word

    pattern = r"(?<!\$)\$\{(?P<name>\w+)(?:(?P<operator>:[-?])(?P<word>[^}]*))?\}"
    return re.sub(pattern, value, text).replace("$$", "$")


@pytest.fixture(scope="module")
def compose() -> dict:
    return yaml.safe_load(interpolated((ROOT / "docker-compose.yml").read_text(), ENVIRONMENT))


def test_the_file_follows_the_compose_specification(compose: dict) -> None:
    parsed = compose_spec.PyCompose.from_yaml(yaml.safe_dump(compose))
    assert set(parsed.services) == PARTS | {"proxy", "migrate", "redis", "postgres"}


def test_a_misspelt_key_would_be_noticed(compose: dict) -> None:
    broken = yaml.safe_dump(compose | {"services": {"web": {"image": "hilum", "comand": ["x"]}}})
    with pytest.raises(ValueError, match="comand"):
        compose_spec.PyCompose.from_yaml(broken)


@pytest.mark.parametrize("missing", ["SECRET_KEY", "POSTGRES_PASSWORD", "REDIS_PASSWORD", "HILUM_HOST"])
def test_it_does_not_come_up_without_its_secrets(missing: str) -> None:
    environment = {name: value for name, value in ENVIRONMENT.items() if name != missing}
    with pytest.raises(KeyError, match=missing):
        interpolated((ROOT / "docker-compose.yml").read_text(), environment)


def test_every_part_runs_with_least_privilege(compose: dict) -> None:
    for name in PARTS:
        part = compose["services"][name]
        assert part["cap_drop"] == ["ALL"], name
        assert part["read_only"] is True, name
        assert "no-new-privileges:true" in part["security_opt"], name
        assert "ports" not in part, name


def test_only_the_proxy_is_reachable_from_outside(compose: dict) -> None:
    published = {name for name, service in compose["services"].items() if service.get("ports")}
    assert published == {"proxy"}
    assert compose["networks"]["backend"]["internal"] is True
    assert [n for n, s in compose["services"].items() if "frontend" in s["networks"]] == ["proxy"]


def test_only_the_worker_that_sends_webhooks_reaches_beyond(compose: dict) -> None:
    assert [n for n, s in compose["services"].items() if "outbound" in s["networks"]] == ["worker-notify"]
    assert not (compose["networks"]["outbound"] or {}).get("internal")


def test_the_web_server_is_reached_by_the_proxy_and_without_containers_by_this_host_alone(
    compose: dict, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert compose["services"]["web"]["environment"]["HILUM_BIND"] == "0.0.0.0:8000"
    monkeypatch.delenv("HILUM_BIND", raising=False)
    settings = runpy.run_path(str(ROOT / "deploy" / "gunicorn.conf.py"))
    assert settings["bind"] == "127.0.0.1:8000"
    assert "forwarded_allow_ips" not in settings


def test_postgres_logs_no_values_of_rows(compose: dict) -> None:
    options = compose["services"]["postgres"]["command"]
    assert {"log_error_verbosity=terse", "log_min_error_statement=panic"} <= set(options)


def test_inference_and_training_get_a_gpu_and_the_others_none(compose: dict) -> None:
    with_gpu = {
        name
        for name, service in compose["services"].items()
        for device in service.get("deploy", {})
        .get("resources", {})
        .get("reservations", {})
        .get("devices", [])
        if "gpu" in device["capabilities"]
    }
    assert with_gpu == {"worker-infer", "worker-train"}


def test_the_image_holds_every_file_that_its_commands_name(compose: dict) -> None:
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    shipped = {word for line in copied for word in line.split()}
    for name in PARTS | {"migrate"}:
        for word in compose["services"][name]["command"]:
            top = word.split("/")[0]
            if (ROOT / word).is_file():
                assert top in shipped or word in shipped, f"{name}: {word} is not in the image"
