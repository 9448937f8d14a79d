"""Addresses to listen on and base URLs to forward to, as the settings write them."""

import ipaddress
from typing import NamedTuple
from urllib.parse import SplitResult, urlsplit


class Address(NamedTuple):
    """A listening address."""

    host: str
    port: int

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can connect."""
        if self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str) -> Address:
    """Read `host:port`, `[v6]:port`.

    Raises:
        ValueError: it is neither.
    """
    host, colon, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
        if not _is_ipv6(host):
            raise ValueError("brackets hold an IPv6 address")
    elif ":" in host:
        raise ValueError("an IPv6 address needs brackets")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port) > 65535:
        raise ValueError("must be host:port")
    return Address(host, int(port))


def _is_ipv6(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).version == 6
    except ValueError:
        return False


def parse_base_url(text: str) -> SplitResult:
    """Read a base URL.

    Raises:
        ValueError: not an http or https URL of host, optional port and optional path.
    """
    url = urlsplit(text)
    if url.scheme not in {"http", "https"} or not url.hostname:
        raise ValueError("must be an http:// or https:// URL with a host")
    if url.query or url.fragment or url.username or url.password:
        raise ValueError("must have no query, fragment or credentials")
    if not text.isascii() or any(c <= " " or c == "\x7f" for c in text):
        raise ValueError("must be printable ASCII without spaces; percent-encode the rest")
    _ = url.port  # raises on a bad one
    return url
