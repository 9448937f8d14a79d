"""The OTEL_* variables: off unless an endpoint is set, each honoured as the specification says."""

import pytest

from exporters.otel.settings import OtlpSettingsError, Protocol, Target, read_settings


def targets(**environ: str) -> tuple[Target | None, Target | None]:
    """Read variables, given without their common prefix."""
    found = read_settings({f"OTEL_{name}": value for name, value in environ.items()})
    return (None, None) if found is None else (found.logs, found.traces)


def test_nothing_is_exported_without_an_endpoint() -> None:
    """The SDK's default of localhost is not ours."""
    assert read_settings({}) is None
    assert read_settings({"OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}) is None


def test_a_base_url_gets_the_signal_path_and_an_own_url_does_not() -> None:
    """`/v1/logs` and `/v1/traces` under the base; a signal's own URL is taken as it is."""
    logs, traces = targets(
        EXPORTER_OTLP_ENDPOINT="http://collector:4318/base/",
        EXPORTER_OTLP_TRACES_ENDPOINT="https://traces:443/x",
    )

    assert logs is not None
    assert traces is not None
    assert logs.url == "http://collector:4318/base/v1/logs"
    assert traces.url == "https://traces:443/x"
    assert not traces.insecure


def test_one_signal_can_be_exported_alone() -> None:
    """By its own endpoint, or by switching the other off."""
    logs, traces = targets(EXPORTER_OTLP_LOGS_ENDPOINT="http://c/logs")
    assert logs is not None
    assert traces is None

    logs, traces = targets(EXPORTER_OTLP_ENDPOINT="http://c", LOGS_EXPORTER="none")
    assert logs is None
    assert traces is not None


def test_the_sdk_can_be_disabled() -> None:
    """OTEL_SDK_DISABLED wins over an endpoint."""
    assert targets(SDK_DISABLED="true", EXPORTER_OTLP_ENDPOINT="http://c") == (None, None)


def test_headers_are_percent_decoded_and_can_differ_by_signal() -> None:
    """`key=value` pairs, lower-case names."""
    logs, traces = targets(
        EXPORTER_OTLP_ENDPOINT="http://c",
        EXPORTER_OTLP_HEADERS="Authorization=Basic%20abc%3D, x-a=1",
        EXPORTER_OTLP_TRACES_HEADERS="x-b=2",
    )

    assert logs is not None
    assert traces is not None
    assert logs.headers == (("authorization", "Basic abc="), ("x-a", "1"))
    assert traces.headers == (("x-b", "2"),)


def test_grpc_takes_a_bare_authority_and_keeps_the_url_without_a_path() -> None:
    """Plain or TLS by scheme, or by OTEL_EXPORTER_OTLP_INSECURE."""
    logs, _ = targets(EXPORTER_OTLP_ENDPOINT="http://c:4317", EXPORTER_OTLP_PROTOCOL="grpc")
    assert logs == Target("http://c:4317", Protocol.GRPC, insecure=True)

    logs, _ = targets(EXPORTER_OTLP_ENDPOINT="c:4317", EXPORTER_OTLP_PROTOCOL="grpc")
    assert logs == Target("https://c:4317", Protocol.GRPC)

    logs, _ = targets(
        EXPORTER_OTLP_ENDPOINT="c:4317", EXPORTER_OTLP_PROTOCOL="grpc", EXPORTER_OTLP_INSECURE="true"
    )
    assert logs == Target("http://c:4317", Protocol.GRPC, insecure=True)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENDPOINT", "collector:4318"),
        ("ENDPOINT", "ftp://collector"),
        ("PROTOCOL", "http/json"),
        ("COMPRESSION", "zstd"),
        ("HEADERS", "no equals sign"),
        ("HEADERS", "a=b%0d%0ax: y"),
    ],
)
def test_a_variable_that_cannot_be_honoured_is_refused_by_name(name: str, value: str) -> None:
    """The message names the variable; a header cannot smuggle a line break."""
    environ = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c", f"OTEL_EXPORTER_OTLP_{name}": value}

    with pytest.raises(OtlpSettingsError, match=f"OTEL_EXPORTER_OTLP_{name}"):
        read_settings(environ)


def test_a_login_in_an_endpoint_that_cannot_be_used_is_not_repeated() -> None:
    """What is printed at the start ends in logs that others read."""
    with pytest.raises(OtlpSettingsError) as refused:
        targets(EXPORTER_OTLP_ENDPOINT="ftp://team:a-secret@collector:4318")

    assert "ftp://...@collector:4318" in str(refused.value)
    assert "a-secret" not in str(refused.value)
