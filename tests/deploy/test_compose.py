"""compose.yml, Dockerfile and manifests: nothing they name is missing, nothing secret is in them."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator  # type: ignore[import-untyped] # it publishes no types

from sidecar.config import load
from sidecar.settings import ENV_PREFIX, options

ROOT = Path(__file__).parent.parent.parent
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "compose.yml").read_text("utf-8"))
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
MANIFESTS = [
    document
    for path in sorted((ROOT / "deploy/kubernetes").glob("*.yml"))
    for document in yaml.safe_load_all(path.read_text("utf-8"))
]
NO_SHELL = {"otel-collector"}
"""Images without any program a health check could run."""


def test_the_compose_file_follows_the_specification() -> None:
    """Valid by the Compose specification's JSON schema, which refuses what it does not know."""
    schema = json.loads(
        (files("check_jsonschema.builtin_schemas.vendor") / "compose-spec.json").read_text("utf-8")
    )
    check = Draft202012Validator(schema)

    assert [error.message for error in check.iter_errors(COMPOSE)] == []
    misspelt = COMPOSE | {"services": SERVICES | {"sidecar": SERVICES["sidecar"] | {"helthcheck": {}}}}
    assert [error.validator for error in check.iter_errors(misspelt)] == ["unevaluatedProperties"]


def named_hosts(text: str) -> set[str]:
    return set(re.findall(r"(?:http|postgresql)://(?:\w+@)?([a-z][a-z0-9-]*):\d+", text))


def test_the_expected_parts_are_there() -> None:
    """A user sees the fleet in Grafana after one command."""
    assert set(SERVICES) == {
        "sidecar", "provider", "dispatcher", "postgres", "otel-collector", "prometheus", "alertmanager",
        "grafana",
    }  # fmt: skip


@pytest.mark.parametrize("name", SERVICES)
def test_every_image_is_pinned_or_built_here(name: str) -> None:
    """What ran yesterday runs today."""
    image = SERVICES[name]["image"]

    assert re.search(r":v?\d+\.\d+(\.\d+)?$", image), image
    plugins = SERVICES[name].get("environment", {}).get("GF_INSTALL_PLUGINS", "")
    assert all(re.search(r" \d+\.\d+\.\d+$", plugin) for plugin in filter(None, plugins.split(",")))


@pytest.mark.parametrize("name", SERVICES)
def test_published_ports_are_ports_the_service_serves(name: str) -> None:
    """The port inside is one the command, an address, the image or the health check speaks of."""
    service = SERVICES[name]
    spoken = " ".join(str(service.get(part, "")) for part in ("command", "environment", "healthcheck"))
    default = {"alertmanager": "9093", "prometheus": "9090"}.get(name, "")

    for port in service.get("ports", ()):
        inside = str(port).rsplit(":", 1)[1]
        assert re.search(rf":{inside}\b", spoken) or inside == default, port


def test_every_port_that_is_called_is_one_the_other_side_listens_on() -> None:
    """Addresses of one service in the settings of another, in Prometheus' and in Grafana's files."""
    texts = [str(SERVICES)] + [
        (ROOT / path).read_text("utf-8")
        for path in (
            "dashboards/prometheus/prometheus.yml",
            "dashboards/provisioning/datasources/reputation.yaml",
        )
    ]
    listens = {
        "sidecar": {"8080", "8081", "9464"},
        "provider": {"3000"},
        "dispatcher": {"4000"},
        "postgres": {"5432"},
        "otel-collector": {"4317", "4318"},
        "prometheus": {"9090"},
        "alertmanager": {"9093"},
    }
    called = {
        (host, port)
        for text in texts
        for host, port in re.findall(r"\b([a-z][a-z-]*[a-z]):(\d{4,5})\b", text)
        if host in SERVICES
    }

    assert len({host for host, _ in called}) >= 6
    assert all(port in listens[host] for host, port in called), called


@pytest.mark.parametrize("name", SERVICES)
def test_every_mounted_path_exists_and_every_volume_is_declared(name: str) -> None:
    """A missing file becomes an empty directory inside a container, and nobody is told."""
    for mount in SERVICES[name].get("volumes", ()):
        source = mount.split(":")[0]
        if source.startswith("."):
            assert (ROOT / source).exists(), mount
        else:
            assert source in COMPOSE["volumes"], mount


@pytest.mark.parametrize("name", SERVICES)
def test_every_service_has_a_health_check_and_ports_stay_on_loopback(name: str) -> None:
    """Others wait for what is healthy; nothing is offered to the network."""
    assert "healthcheck" in SERVICES[name] or name in NO_SHELL
    assert all(str(port).startswith("127.0.0.1:") for port in SERVICES[name].get("ports", ()))


def test_every_host_that_is_called_is_a_service() -> None:
    """In the compose file and in what it mounts."""
    texts = [str(SERVICES)]
    texts += [
        (ROOT / path).read_text("utf-8")
        for path in (
            "dashboards/prometheus/prometheus.yml",
            "dashboards/provisioning/datasources/reputation.yaml",
            "deploy/otel/collector.yml",
        )
        if (ROOT / path).exists()
    ]
    called = set().union(*map(named_hosts, texts)) - {"localhost"}

    assert called <= set(SERVICES), called - set(SERVICES)


def test_dependencies_are_services_with_health_checks() -> None:
    """`service_healthy` waits for ever on a service without a check."""
    for service in SERVICES.values():
        for other, how in service.get("depends_on", {}).items():
            assert how == {"condition": "service_healthy"}
            assert "healthcheck" in SERVICES[other]


def test_the_sidecars_settings_are_settings_and_form_a_configuration() -> None:
    """What the compose file passes is what `sidecar check` accepts."""
    environment = {
        name: re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", str(value)).replace("${", "a-token-").split(":?")[0]
        for name, value in SERVICES["sidecar"]["environment"].items()
    }

    settings = load(None, environment).settings

    assert [route.name for route in settings.all_routes()] == ["dispatch", "webhook"]


def test_there_is_no_secret_in_any_file() -> None:
    """Tokens come from the environment or from files of the orchestrator."""
    for service in SERVICES.values():
        for name, value in service.get("environment", {}).items():
            if re.search("TOKEN|SECRET|PASSWORD|KEY", name):
                assert str(value).startswith("${"), name


def test_manifests_use_settings_that_exist() -> None:
    """A renamed setting does not linger in a manifest."""
    known = {option.env for option in options()} | {
        option.env + "_FILE" for option in options() if option.secret
    }
    text = str(MANIFESTS)
    used = set(re.findall(rf"{ENV_PREFIX}[A-Z_]+", text))

    assert used <= known, used - known


def test_the_kubernetes_sidecar_is_a_native_one_with_probes_and_least_rights() -> None:
    """It starts before the dispatcher and ends after it, as nobody, on a read-only root."""
    deployment = next(document for document in MANIFESTS if document["kind"] == "Deployment")
    (sidecar,) = deployment["spec"]["template"]["spec"]["initContainers"]

    assert deployment["spec"]["strategy"] == {"type": "Recreate"}
    assert sidecar["restartPolicy"] == "Always"
    assert {"startupProbe", "readinessProbe", "livenessProbe"} <= sidecar.keys()
    assert sidecar["securityContext"]["readOnlyRootFilesystem"] is True
    assert sidecar["securityContext"]["capabilities"] == {"drop": ["ALL"]}


def of_kind(kind: str) -> dict[str, Any]:
    """Give the manifest of this kind."""
    [found] = [document for document in MANIFESTS if document["kind"] == kind]
    content: dict[str, Any] = found
    return content


def test_manifests_refer_to_each_other_by_names_that_exist() -> None:
    """Ports, labels, volumes and claims: a misspelt one is found by nobody but an operator at night."""
    pod = of_kind("Deployment")["spec"]["template"]
    (sidecar,) = pod["spec"]["initContainers"]
    named = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    service, monitor = of_kind("Service"), of_kind("ServiceMonitor")
    volumes = {volume["name"]: volume for volume in pod["spec"]["volumes"]}

    for probe in ("startupProbe", "readinessProbe", "livenessProbe"):
        assert sidecar[probe]["httpGet"]["port"] in named
        assert sidecar[probe]["httpGet"]["path"] in ("/readyz", "/healthz")
    assert service["spec"]["selector"].items() <= pod["metadata"]["labels"].items()
    assert {port["targetPort"] for port in service["spec"]["ports"]} == named.keys()
    assert monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    assert {end["port"] for end in monitor["spec"]["endpoints"]} <= {
        port["name"] for port in service["spec"]["ports"]
    }
    assert {mount["name"] for mount in sidecar["volumeMounts"]} == volumes.keys()
    claim = of_kind("PersistentVolumeClaim")["metadata"]["name"]
    assert volumes["data"]["persistentVolumeClaim"]["claimName"] == claim


def test_the_manifests_settings_form_a_configuration(tmp_path: Path) -> None:
    """What the pod passes is what `sidecar check` accepts, and its ports are the ones it names."""
    (sidecar,) = of_kind("Deployment")["spec"]["template"]["spec"]["initContainers"]
    token = tmp_path / "admin-token"
    token.write_text("a-token-of-sufficient-length")
    environment = {entry["name"]: entry["value"] for entry in sidecar["env"]}
    environment["SIDECAR_ADMIN_TOKEN_FILE"] = str(token)

    settings = load(None, environment).settings

    ports = {port["name"]: port["containerPort"] for port in sidecar["ports"]}
    assert settings.webhook_listen.endswith(f":{ports['webhook']}")
    assert settings.admin_listen.endswith(f":{ports['admin']}")


def test_the_image_copies_what_exists_and_runs_as_nobody() -> None:
    """No engine runs where this is built, so at least its words are checked."""
    text = (ROOT / "Dockerfile").read_text("utf-8")
    copied = [
        word
        for line in re.findall(r"^COPY (?!--from)(.+)$", text, re.MULTILINE)
        for word in line.split()[:-1]
    ]

    assert all((ROOT / path).exists() for path in copied), copied
    assert re.search(r"^USER sidecar$", text, re.MULTILINE)
    assert re.search(r"^ARG PYTHON=\d+\.\d+\.\d+-slim-\w+$", text, re.MULTILINE)
    assert set(re.findall(r"^FROM (\S+)", text, re.MULTILINE)) == {"python:${PYTHON}"}
    installs = re.findall(r"pip install ([^\n\\]+)", text)
    assert all("--require-hashes" in line or "--no-index" in line for line in installs), installs
    assert "TMPDIR=/data" in text  # nothing else is writable where the root is not
    assert re.search(r"^HEALTHCHECK ", text, re.MULTILINE)
    ignored = (ROOT / ".dockerignore").read_text("utf-8")
    assert all(f"!{path}" in ignored for path in copied)


def test_the_rules_manifest_holds_the_rules_as_they_are() -> None:
    """One source: dashboards/prometheus; print_rules.py prints the manifest anew."""
    rules = next(document for document in MANIFESTS if document["kind"] == "PrometheusRule")
    groups: list[Any] = []
    for name in ("rules.yml", "alerts.yml"):
        groups += yaml.safe_load((ROOT / "dashboards/prometheus" / name).read_text("utf-8"))["groups"]

    assert rules["spec"]["groups"] == groups
