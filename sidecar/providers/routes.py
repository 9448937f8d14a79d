"""Which call a request is: a path trie over byte segments, made once from a provider's table.

Literal segments win over placeholders; when the literal branch ends nowhere, the placeholder is tried. A
level has at most one placeholder and a table at most seven levels, so a lookup visits a handful of nodes
whatever the path holds.
"""

from collections.abc import Iterable
from typing import Final, NamedTuple
from urllib.parse import unquote_to_bytes

from domain.exchange import Unknown
from sidecar.providers.contract import Action, drift

SEGMENTS_MAX: Final = 12
"""More segments than any table names; longer paths are not walked."""
QUERY_FIELDS_MAX: Final = 32
SEEN_MAX: Final = 4096
"""Targets remembered; then all are forgotten at once, which costs one walk each."""
SEEN_TARGET_MAX: Final = 256
"""Bytes of a target worth remembering; longer ones carry a query that will not come again."""


class Route(NamedTuple):
    """One row of a provider's table.

    Attributes:
        endpoint: `METHOD template`, what the context shows.
        names: placeholders, in path order.
        message_type: normal form of what the route sends, where the path alone tells.
        presence: presence the path alone sets.
    """

    action: Action
    template: str
    endpoint: str
    names: tuple[str, ...]
    message_type: str | None = None
    presence: str | None = None


class Match(NamedTuple):
    """A route and what stood in its placeholders, percent-decoded."""

    route: Route
    named: dict[str, str]

    def value(self, name: str) -> str:
        """Give a placeholder's value, empty when this route has no such placeholder."""
        return self.named.get(name, "")


class Row(NamedTuple):
    """One line of a table before it is compiled; see Route."""

    method: str
    template: str
    action: Action
    message_type: str | None = None
    presence: str | None = None


METHODS: Final = ("GET", "POST", "PUT", "PATCH", "DELETE")
REST: Final = "{...}"
"""Last segment of a template that stands for one or more of any kind."""


def any_method(*templates: str) -> tuple[Row, ...]:
    """Name calls that are no facts, but whose instance must be known when they meet a rate limit (R3)."""
    return tuple(Row(method, template, Action.OTHER) for template in templates for method in METHODS)


class _Node:
    """One segment of the trie: what may follow literally, what follows a placeholder, what ends here."""

    __slots__ = ("ends", "literal", "rest", "wild")

    def __init__(self) -> None:
        self.literal: dict[bytes, _Node] = {}
        self.wild: _Node | None = None
        self.ends: dict[bytes, Route] = {}
        self.rest: dict[bytes, Route] = {}


class Routes:
    """A compiled table.

    Args:
        rows: the provider's calls.
        ignore_case: literals match in any letter case (Express), else exactly.
        prefixes: leading paths every row exists under; the endpoint keeps the one that was used.
    """

    def __init__(
        self, rows: Iterable[Row], *, ignore_case: bool = False, prefixes: tuple[str, ...] = ("",)
    ) -> None:
        self._ignore_case = ignore_case
        self._root = _Node()
        self._seen: dict[tuple[bytes, bytes], Match | None] = {}
        for row in rows:
            for prefix in prefixes:
                self._add(row, prefix + row.template)

    def _add(self, row: Row, template: str) -> None:
        node = self._root
        names: list[str] = []
        segments = template.strip("/").split("/")
        for segment in segments:
            if segment == REST:
                break
            if segment.startswith("{"):
                names.append(segment[1:-1])
                node.wild = node.wild or _Node()
                node = node.wild
            else:
                key = segment.encode()
                node = node.literal.setdefault(key.lower() if self._ignore_case else key, _Node())
        ends = node.rest if segments[-1] == REST else node.ends
        ends[row.method.encode()] = Route(
            row.action,
            template,
            f"{row.method} {template}",
            tuple(names),
            row.message_type,
            row.presence,
        )

    def match(self, method: bytes, target: bytes) -> Match | None:
        """Find the row of a request; one trailing slash is ignored, and so is the query.

        A dispatcher calls the same few paths of an instance over and over: remembering them takes
        a tenth of the time (0.2 of 2.9 microseconds).
        """
        key = (method, target)
        if key in self._seen:
            return self._seen[key]
        found = self._find(method, target.partition(b"?")[0])
        if len(target) <= SEEN_TARGET_MAX:
            if len(self._seen) >= SEEN_MAX:
                self._seen.clear()
            self._seen[key] = found
        return found

    def _find(self, method: bytes, path: bytes) -> Match | None:
        if path[:1] != b"/":
            return None
        segments = path[1:].split(b"/")
        if len(segments) > 1 and not segments[-1]:
            segments.pop()
        if len(segments) > SEGMENTS_MAX:
            return None
        return self._walk(self._root, method, segments, 0, ())

    def _walk(
        self, node: _Node, method: bytes, segments: list[bytes], at: int, values: tuple[bytes, ...]
    ) -> Match | None:
        if at == len(segments):
            return _matched(node.ends.get(method), values)
        segment = segments[at]
        follower = node.literal.get(segment.lower() if self._ignore_case else segment)
        if follower is not None:
            found = self._walk(follower, method, segments, at + 1, values)
            if found is not None:
                return found
        if node.wild is not None and segment:
            found = self._walk(node.wild, method, segments, at + 1, (*values, segment))
            if found is not None:
                return found
        return _matched(node.rest.get(method), values)


def _matched(route: Route | None, values: tuple[bytes, ...]) -> Match | None:
    if route is None:
        return None
    return Match(route, dict(zip(route.names, map(_text, values), strict=True)))


def unknown_call(match: Match, name: str) -> tuple[Unknown, ...]:
    """Report a call of a known family that no row names: it may be a new kind of send."""
    kind = match.value(name)
    return drift("action", kind) if kind else ()


def _text(segment: bytes) -> str:
    if b"%" in segment:
        segment = unquote_to_bytes(segment)
    return segment.decode("utf-8", "replace")


def query(target: bytes) -> dict[str, str]:
    """Read the query of a target, first value of each name; at most QUERY_FIELDS_MAX fields are looked at."""
    fields: dict[str, str] = {}
    for pair in target.partition(b"?")[2].split(b"&", QUERY_FIELDS_MAX)[:QUERY_FIELDS_MAX]:
        name, equals, value = pair.partition(b"=")
        if equals:
            fields.setdefault(_text(name), _text(value.replace(b"+", b" ")))
    return fields
