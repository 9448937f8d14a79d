"""Routes: where traffic comes in, and the upstream it goes to."""

import ssl
from dataclasses import dataclass
from enum import StrEnum
from typing import Self
from urllib.parse import urlsplit

from domain.words import Direction


class VerifyMode(StrEnum):
    """What happens to a callback whose signature does not verify."""

    OFF = "off"
    OBSERVE = "observe"
    """Verified while it streams by, forwarded whatever the outcome."""
    REJECT = "reject"
    """Held until verified; 401 and not forwarded unless valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Upstream:
    """An HTTP server that requests are forwarded to.

    Attributes:
        host: name or address, without brackets.
        prefix: path in front of every target, without a slash at its end.
        authority: value of the Host field; with a port only if it is not the scheme's own.
        tls: None for http.
        server_name: name sent as SNI and verified; None for http.
    """

    host: str
    port: int
    prefix: bytes
    authority: bytes
    tls: ssl.SSLContext | None = None
    server_name: str | None = None

    @classmethod
    def parse(cls, url: str, *, ca_file: str | None = None, server_name: str | None = None) -> Self:
        """Read a base URL: http or https, host, optional port and path prefix.

        Args:
            url: such as `https://gateway.example:8443/api` or `http://[::1]:8080`.
            ca_file: PEM certificates to trust instead of the system's; https only.
            server_name: name to send and verify if it is not the URL's host.

        Raises:
            ValueError: the URL is not one, or carries credentials, a query or a fragment.
        """
        parts = urlsplit(url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise ValueError(f"an upstream must be an http or https URL with a host, got {url!r}")
        if "@" in parts.netloc or "?" in url or "#" in url:
            raise ValueError("an upstream URL must not carry credentials, a query or a fragment")
        secure = parts.scheme == "https"
        default_port = 443 if secure else 80
        try:
            port = parts.port or default_port
            host = parts.hostname if ":" in parts.hostname else parts.hostname.encode("idna").decode()
            prefix = parts.path.rstrip("/").encode("ascii")
        except ValueError as error:
            raise ValueError(
                f"an upstream URL must be plain ASCII with a port up to 65535: {error}"
            ) from error
        if any(byte <= 0x20 or byte == 0x7F for byte in prefix):
            raise ValueError("an upstream's path must not hold white space or control characters")
        bracketed = f"[{host}]" if ":" in host else host
        authority = bracketed if port == default_port else f"{bracketed}:{port}"
        return cls(
            host=host,
            port=port,
            prefix=prefix,
            authority=authority.encode("ascii"),
            tls=upstream_tls(ca_file) if secure else None,
            server_name=(server_name or host) if secure else None,
        )


def upstream_tls(ca_file: str | None = None) -> ssl.SSLContext:
    """Give a client context that verifies chain and name, TLS 1.2 or newer."""
    context = ssl.create_default_context(cafile=ca_file)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def listener_tls(certificate_file: str, key_file: str) -> ssl.SSLContext:
    """Give a server context for a listener, TLS 1.2 or newer."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate_file, key_file)
    context.set_alpn_protocols(["http/1.1"])
    return context


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """One listener's traffic: its direction and its upstream.

    Attributes:
        name: as configured; readers and logs show it.
        tls: context of the listener itself; None for plain HTTP.
    """

    name: str
    direction: Direction
    upstream: Upstream
    verify_mode: VerifyMode = VerifyMode.OFF
    tls: ssl.SSLContext | None = None
