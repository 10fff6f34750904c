"""`compose.yaml`: what production runs has only its own secrets, and no right that it can do without."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from countersign.operations.settings import OperatorSettings
from countersign.sealing import new_key
from countersign.settings import PREFIX, SECRET_NAMES, ProcessSettings
from receiver.settings import ReceiverSettings
from tests.services.valkey import ValkeyServer
from tests.services.warden import Warden
from workers.policy import read_policy
from workers.settings import MigrateSettings, WorkerSettings

REPOSITORY = Path(__file__).parents[2]
COMPOSE: dict[str, Any] = yaml.safe_load((REPOSITORY / "compose.yaml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]

OURS: dict[str, type[ProcessSettings]] = {
    "receiver": ReceiverSettings,
    "worker": WorkerSettings,
    "migrate": MigrateSettings,
    "operator": OperatorSettings,
}
MOUNTED = "/run/secrets/"
FILE = "_FILE"

SECRETS = {
    "client_secret": "made-up",
    "database_url": "postgresql+psycopg://countersign:made-up@postgres/countersign",
    "ledger_keys": new_key(),
    "seal_keys": new_key(),
    "webhook_secrets": "",
}


def environment(service: str) -> dict[str, str]:
    given: dict[str, str] = SERVICES[service].get("environment", {})
    return {name: filled_in(value) for name, value in given.items()}


def filled_in(value: str) -> str:
    return re.sub(r"\$\{\w+(?::-([^}]*)|:\?[^}]*)}", lambda match: match[1] or "made-up", value)


def secrets_of(service: str) -> set[str]:
    return {value.removeprefix(MOUNTED) for value in environment(service).values() if MOUNTED in value}


@pytest.mark.parametrize("service", OURS)
def test_each_process_starts_with_what_it_is_given(service: str, tmp_path: Path) -> None:
    for name, content in SECRETS.items():
        (tmp_path / name).write_text(content)
    given = {name: value.replace(MOUNTED, f"{tmp_path}/") for name, value in environment(service).items()}
    assert OURS[service].from_environment(given)


@pytest.mark.parametrize("service", OURS)
def test_each_process_is_given_only_settings_that_are_its_own(service: str) -> None:
    declared = {name.upper() for name in OURS[service].model_fields}
    given = {name.removeprefix(PREFIX) for name in environment(service)}
    assert given <= declared | {name + FILE for name in declared}


@pytest.mark.parametrize("service", OURS)
def test_each_process_is_given_its_own_secrets_as_files_and_no_others(service: str) -> None:
    needed = {name.lower() for name in SECRET_NAMES if name.lower() in OURS[service].model_fields}
    assert secrets_of(service) == needed == set(SERVICES[service]["secrets"])
    assert not {PREFIX + name for name in SECRET_NAMES} & set(environment(service))


def test_every_secret_is_a_file_outside_the_repository_and_is_used() -> None:
    used = {name for service in SERVICES.values() for name in service.get("secrets", [])}
    assert set(COMPOSE["secrets"]) == used
    assert all(secret == {"file": f"deploy/secrets/{name}"} for name, secret in COMPOSE["secrets"].items())
    assert "deploy/secrets/" in (REPOSITORY / ".gitignore").read_text().split()
    assert set(used) == set(re.findall(r"(?<=>)[a-z_]+$", MAKE_SECRETS, re.MULTILINE))


MAKE_SECRETS = (REPOSITORY / "deploy/make-secrets").read_text()


@pytest.mark.parametrize("service", SERVICES)
def test_no_process_runs_as_root_or_keeps_a_right_that_it_can_do_without(service: str) -> None:
    running = SERVICES[service]
    assert not running["user"].startswith("0")
    assert running["read_only"] is True
    assert running["cap_drop"] == ["ALL"]
    assert running["security_opt"] == ["no-new-privileges:true"]
    assert "privileged" not in running
    assert "cap_add" not in running


def test_the_receiver_reaches_neither_the_ledger_nor_keystone() -> None:
    networks = {name: set(service["networks"]) for name, service in SERVICES.items()}
    assert not networks["receiver"] & networks["postgres"]
    assert networks["receiver"] == {"public", "queue"}
    assert all(COMPOSE["networks"][name]["internal"] for name in ("queue", "ledger"))
    assert [name for name, service in SERVICES.items() if "ports" in service] == ["receiver"]


def test_workers_scale_and_start_after_the_tables_are_there() -> None:
    worker = SERVICES["worker"]
    assert "container_name" not in worker
    assert worker["depends_on"]["migrate"] == {"condition": "service_completed_successfully"}
    assert worker["depends_on"]["valkey"] == {"condition": "service_healthy"}
    assert SERVICES["migrate"]["restart"] == "no"
    assert SERVICES["migrate"]["depends_on"] == {"postgres": {"condition": "service_healthy"}}


def test_the_processes_get_more_time_to_stop_than_they_take() -> None:
    for service, seconds in (("receiver", "shutdown_timeout_seconds"), ("worker", "shutdown_seconds")):
        own = OURS[service].model_fields[seconds].default
        assert float(SERVICES[service]["stop_grace_period"].removesuffix("s")) > own


def test_every_service_that_stays_up_has_a_health_check() -> None:
    in_image = {stage for stage, lines in stages().items() if any("HEALTHCHECK" in line for line in lines)}
    built = {name: service["build"]["target"] for name, service in SERVICES.items() if "build" in service}
    checked = {name for name, target in built.items() if target in in_image}
    checked |= {name for name, service in SERVICES.items() if "test" in service.get("healthcheck", {})}
    assert checked - {"migrate"} == set(SERVICES) - {"migrate"}


def test_valkey_keeps_what_it_has_accepted(tmp_path: Path, warden: Warden) -> None:
    program, *flags = SERVICES["valkey"]["command"]
    assert program == "valkey-server"
    names, values = flags[::2], flags[1::2]
    config = {name.removeprefix("--"): value for name, value in zip(names, values, strict=True)}
    server = ValkeyServer(tmp_path, warden, defaults=config).start()
    with server.client() as client:
        kept = client.config_get("appendonly", "appendfsync", "maxmemory-policy")
    server.kill()
    assert kept == {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}


def test_the_example_policy_decides_nothing_by_itself() -> None:
    policy = read_policy(REPOSITORY / "deploy/policy.example.toml")
    assert (policy.auto_approve, policy.auto_reject) == (frozenset(), frozenset())


def stages() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    current: list[str] = []
    for line in (REPOSITORY / "Dockerfile").read_text().splitlines():
        if match := re.fullmatch(r"FROM \S+ AS (\S+)", line):
            current = found.setdefault(match[1], [])
        current.append(line)
    return found


def test_each_image_installs_from_its_own_lock_with_hashes() -> None:
    for process in ("receiver", "worker"):
        installing = "\n".join(stages()[f"{process}-environment"])
        assert f"--require-hashes -r requirements/{process}.txt" in installing
        assert f"COPY --from={process}-environment " in "\n".join(stages()[process])


def test_no_image_runs_as_root_or_can_install_more() -> None:
    assert "USER 10001:10001" in stages()["process"]
    assert any("pip uninstall" in line for line in stages()["process"])
    for process in ("receiver", "worker"):
        assert stages()[process][0] == f"FROM process AS {process}"
        assert not any(line.startswith(("USER", "RUN")) for line in stages()[process])
