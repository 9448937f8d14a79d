"""Why a message is refused: one closed list, each with its status and what to tell the sender.

A request refused for one of these is answered with that status and its connection is closed. The same fault
in an answer of the upstream makes a 502 `BAD_RESPONSE`. What is ambiguous is refused, never guessed.

Refused            the message breaks HTTP/1.1 or a bound; `reason` says which rule
"""

from enum import StrEnum
from typing import Final, NamedTuple


class Reason(StrEnum):
    """The rule that a refused message breaks; a metric label."""

    BAD_METHOD = "bad_method"
    BAD_TARGET = "bad_target"
    TARGET_TOO_LONG = "target_too_long"
    BAD_VERSION = "bad_version"
    BAD_START_LINE = "bad_start_line"
    BAD_MESSAGE = "bad_message"
    BAD_FIELD = "bad_field"
    SPACE_BEFORE_COLON = "space_before_colon"
    FOLDED_FIELD = "folded_field"
    BARE_CR = "bare_cr"
    BARE_LF = "bare_lf"
    NUL = "nul"
    HEAD_TOO_LARGE = "head_too_large"
    TOO_MANY_FIELDS = "too_many_fields"
    HEAD_TIMEOUT = "head_timeout"
    NO_HOST = "no_host"
    SEVERAL_HOSTS = "several_hosts"
    BAD_HOST = "bad_host"
    AUTHORITY_MISMATCH = "authority_mismatch"
    LENGTH_WITH_CODING = "length_with_coding"
    SEVERAL_LENGTHS = "several_lengths"
    BAD_LENGTH = "bad_length"
    BAD_CODING = "bad_coding"
    BAD_CHUNK = "bad_chunk"
    CHUNK_OVERHEAD = "chunk_overhead"
    BAD_TRAILER = "bad_trailer"
    TOO_MANY_INTERIM = "too_many_interim"
    UNASKED_UPGRADE = "unasked_upgrade"
    BODY_TIMEOUT = "body_timeout"
    CONNECTIONS = "connections"
    HELD_CALLBACKS = "held_callbacks"


class Refusal(NamedTuple):
    """What the sender of a refused request is told."""

    status: int
    message: str


REFUSALS: Final[dict[Reason, Refusal]] = {
    Reason.BAD_METHOD: Refusal(400, "the request method is not one of HTTP's"),
    Reason.BAD_TARGET: Refusal(
        400, "the request target must be in origin-form: /path?query in visible ASCII"
    ),
    Reason.TARGET_TOO_LONG: Refusal(414, "the request line is longer than the head may be"),
    Reason.BAD_VERSION: Refusal(400, "only HTTP/1.1 and HTTP/1.0 are spoken here"),
    Reason.BAD_START_LINE: Refusal(400, "the first line must be: method SP target SP version CRLF"),
    Reason.BAD_MESSAGE: Refusal(400, "the strict parser of llhttp does not accept the head"),
    Reason.BAD_FIELD: Refusal(400, "a header field has bytes that RFC 9110 section 5 does not allow"),
    Reason.SPACE_BEFORE_COLON: Refusal(400, "there is white space between a field name and its colon"),
    Reason.FOLDED_FIELD: Refusal(400, "a field value is folded over lines"),
    Reason.BARE_CR: Refusal(400, "a CR stands without its LF"),
    Reason.BARE_LF: Refusal(400, "a LF stands without its CR"),
    Reason.NUL: Refusal(400, "there is a NUL in the head"),
    Reason.HEAD_TOO_LARGE: Refusal(431, "the head is larger than its bound"),
    Reason.TOO_MANY_FIELDS: Refusal(431, "there are more header fields than the bound allows"),
    Reason.HEAD_TIMEOUT: Refusal(408, "the head did not arrive in time"),
    Reason.NO_HOST: Refusal(400, "an HTTP/1.1 request needs a Host field"),
    Reason.SEVERAL_HOSTS: Refusal(400, "there is more than one Host field"),
    Reason.BAD_HOST: Refusal(400, "the Host field is not a host with an optional port"),
    Reason.AUTHORITY_MISMATCH: Refusal(400, "the authority of the target differs from the Host field"),
    Reason.LENGTH_WITH_CODING: Refusal(400, "Content-Length and Transfer-Encoding exclude each other"),
    Reason.SEVERAL_LENGTHS: Refusal(400, "there is more than one Content-Length"),
    Reason.BAD_LENGTH: Refusal(400, "Content-Length must be one number of at most 18 decimal digits"),
    Reason.BAD_CODING: Refusal(400, "the only transfer coding spoken here is one chunked, in HTTP/1.1"),
    Reason.BAD_CHUNK: Refusal(400, "a chunk does not follow RFC 9112 section 7.1"),
    Reason.CHUNK_OVERHEAD: Refusal(400, "the chunk framing is out of proportion to what it carries"),
    Reason.BAD_TRAILER: Refusal(
        400, "the trailer section is malformed or names a field of framing or routing"
    ),
    Reason.TOO_MANY_INTERIM: Refusal(400, "there are too many interim answers"),
    Reason.UNASKED_UPGRADE: Refusal(400, "the protocol was switched without being asked to"),
    Reason.BODY_TIMEOUT: Refusal(408, "the rest of the request did not arrive in time"),
    Reason.CONNECTIONS: Refusal(503, "there are too many connections"),
    Reason.HELD_CALLBACKS: Refusal(
        503, "the callbacks that wait for their verification are too large together"
    ),
}


class Refused(Exception):  # noqa: N818 - it is an outcome with a reason, as the contract names it
    """A message breaks HTTP/1.1 or a bound."""

    def __init__(self, reason: Reason) -> None:
        super().__init__(reason.value)
        self.reason = reason
