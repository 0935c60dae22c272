"""docker-compose.yml against the compose specification, and the promises that it makes."""

from __future__ import annotations

import re
import runpy
import secrets
import shutil
import subprocess
from pathlib import Path

import compose_spec
import pytest
import redis
import yaml

from webapp.settings.environment import env, redis_url

ROOT = Path(__file__).resolve().parents[2]
# Read by docker-compose.yml itself, or set inside the image.
COMPOSE_ONLY = {"HILUM_HOST", "HILUM_TLS", "HILUM_VERSION", "TORCH", "POSTGRES_PASSWORD", "REDIS_PASSWORD"}
BUILT_IN = {"HILUM_STATIC_ROOT", "HILUM_DEMO_PASSWORD", "HILUM_BIND"}
PARTS = {"web", "worker-ingest", "worker-infer", "worker-train", "worker-notify", "beat"}
# Started only when asked for by its profile.
OPTIONAL = {"dicom"}
ENVIRONMENT = {
    "HILUM_HOST": "hilum.example.org",
    "SECRET_KEY": secrets.token_urlsafe(64),
    "POSTGRES_PASSWORD": "p/%a@b",
    "REDIS_PASSWORD": "r/%a@b",
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
    assert set(parsed.services) == PARTS | OPTIONAL | {"proxy", "migrate", "redis", "postgres"}


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
    for name in PARTS | OPTIONAL:
        part = compose["services"][name]
        assert part["cap_drop"] == ["ALL"], name
        assert part["read_only"] is True, name
        assert "no-new-privileges:true" in part["security_opt"], name
        assert "ports" not in part or name == "dicom", name


def test_only_proxy_and_dicom_listener_are_reachable_from_outside(compose: dict) -> None:
    published = {name for name, service in compose["services"].items() if service.get("ports")}
    assert published == {"proxy", "dicom"}
    assert compose["networks"]["backend"]["internal"] is True
    assert {n for n, s in compose["services"].items() if "frontend" in s["networks"]} == published


def test_the_dicom_listener_speaks_tls_and_is_started_only_when_asked_for(compose: dict) -> None:
    service = compose["services"]["dicom"]
    assert service["profiles"] == ["dicom"]
    assert service["ports"] == ["2762:2762"]
    set_there = service["environment"]
    assert set_there["DICOM_PORT"] == "2762"
    folder = service["volumes"][1].split(":")[1]
    assert set_there["DICOM_TLS_CERTIFICATE"].startswith(folder)
    assert set_there["DICOM_TLS_KEY"].startswith(folder)


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
    for name in PARTS | OPTIONAL | {"migrate"}:
        for word in compose["services"][name]["command"]:
            top = word.split("/")[0]
            if (ROOT / word).is_file():
                assert top in shipped or word in shipped, f"{name}: {word} is not in the image"


def test_every_setting_can_be_set_in_env_and_is_listed_in_the_example(compose: dict) -> None:
    example = re.findall(r"^#?([A-Z][A-Z_]+)=", (ROOT / "deploy" / "env.example").read_text(), re.MULTILINE)
    fixed = set(compose["services"]["web"]["environment"]) | BUILT_IN
    gunicorn = set(re.findall(r'"([A-Z_]+)"', (ROOT / "deploy" / "gunicorn.conf.py").read_text()))
    assert set(example) == (set(env.scheme) | gunicorn | COMPOSE_ONLY) - (
        fixed - COMPOSE_ONLY - {"SECRET_KEY"}
    )
    for name in PARTS | OPTIONAL:
        assert compose["services"][name]["env_file"] == ".env"


@pytest.mark.parametrize("password", ["plain", "p/w", "50%", "a@b:c#d"])
def test_any_password_works_in_the_urls(
    password: str, monkeypatch: pytest.MonkeyPatch, compose: dict
) -> None:
    assert "@" not in compose["services"]["web"]["environment"]["REDIS_URL"]
    assert compose["services"]["web"]["environment"]["PGPASSWORD"] == ENVIRONMENT["POSTGRES_PASSWORD"]
    monkeypatch.setenv("REDIS_URL", compose["services"]["web"]["environment"]["REDIS_URL"])
    monkeypatch.setenv("REDIS_PASSWORD", password)
    assert redis.ConnectionPool.from_url(redis_url()).connection_kwargs["password"] == password


def test_a_password_in_the_url_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REDIS_URL", "redis://:own@redis:6379/0")
    monkeypatch.setenv("REDIS_PASSWORD", "other")
    assert redis_url() == "redis://:own@redis:6379/0"


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd-analyze is not installed")
def test_the_systemd_units_are_valid_and_run_the_same_commands(compose: dict, tmp_path: Path) -> None:
    for unit in (ROOT / "deploy" / "systemd").iterdir():
        text = unit.read_text().replace("/srv/hilum/.venv/bin/python", "/bin/true")
        (tmp_path / unit.name.replace("@", "@ingest")).write_text(text.replace("User=hilum", "User=root"))
    units = [str(path) for path in sorted(tmp_path.iterdir())]
    done = subprocess.run(["systemd-analyze", "verify", *units], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name, prefix in {"web": "-m ", "dicom": ""}.items():
        unit = (ROOT / "deploy" / "systemd" / f"hilum-{name}.service").read_text()
        command = " ".join(compose["services"][name]["command"]).removeprefix("python ")
        assert f"/python {prefix}{command}" in unit
    kinds = {compose["services"][name]["command"][-1] for name in PARTS - {"web"}}
    named = (ROOT / "deploy" / "systemd" / "hilum-worker@.service").read_text().splitlines()[0]
    assert set(re.findall(r"@(\w+)", named)) == kinds
