"""Asks a running sidecar over its admin API."""

import http.client
import json
from collections.abc import Iterator, Mapping
from typing import Any, Final, TypeVar
from urllib.parse import quote, unquote, urlencode

import msgspec

from domain.errors import PastRetention, UnknownInstance
from domain.words import Millis
from sidecar.addresses import parse_base_url
from sidecar.api.health import DecisionDetail, DecisionsAnswer
from sidecar.api.health_answers import DecisionAnswer, ReputationAnswer
from sidecar.api.instances import InstanceAnswer, InstancesAnswer
from sidecar.api.security import SERVER
from sidecar.api.signals import SignalAnswer
from sidecar.api.timeline import TimelineAnswer
from sidecar.cli.answers import TimelineAsked
from sidecar.cli.errors import CONFIGURATION, FAILED, UNREACHABLE, CommandFailed

T = TypeVar("T")

ANSWER_SECONDS: Final = 30.0
PROBE_SECONDS: Final = 2.0
FOLLOW_SECONDS: Final = 60.0
"""The stream writes at least every 15 s; four times that without a byte means it is dead."""
INSTANCES_PAGE: Final = 1000
DECISIONS_PAGE: Final = 500
_UNKNOWN: Final = {"unknown_instance", "unknown_decision"}


class HttpAnswers:
    """Implements `Answers`.

    Args:
        url: base URL of the admin listener.
        token: of the admin listener, None when it has none.

    Raises:
        CommandFailed: the URL is none.
    """

    def __init__(self, url: str, token: str | None) -> None:
        try:
            self._base = parse_base_url(url)
        except ValueError as error:
            raise CommandFailed(f"--url {error}, such as http://127.0.0.1:9464", CONFIGURATION) from error
        self.where = url
        self._headers = {"Authorization": f"Bearer {token}"} if token else {}

    def is_sidecar(self) -> bool:
        """Tell whether a sidecar answers there; one that is busy or asks for a token counts."""
        try:
            connection = self._connect(PROBE_SECONDS)
            try:
                connection.request("GET", self._base.path.rstrip("/") + "/healthz")
                response = connection.getresponse()
                response.read()
            finally:
                connection.close()
        except (OSError, http.client.HTTPException):
            return False
        return response.getheader("Server") == SERVER

    def instances(self) -> Iterator[InstanceAnswer]:
        """Give every instance in order of its id."""
        cursor: str | None = None
        while True:
            query = {"limit": INSTANCES_PAGE, "cursor": cursor}
            page = self._get("/v1/instances", query, InstancesAnswer)
            yield from page.instances
            cursor = page.next_cursor
            if cursor is None:
                return

    def timeline(self, asked: TimelineAsked, cursor: str | None, limit: int) -> TimelineAnswer:
        """Give one page."""
        query = {
            "since": asked.since,
            "until": asked.until,
            "type": ",".join(sorted(asked.types)),
            "severity": ",".join(sorted(asked.severities)),
            "source": ",".join(sorted(asked.sources)),
            "messageId": asked.message_id,
            "order": "desc" if asked.descending else "asc",
            "limit": limit,
            "cursor": cursor,
        }
        return self._get(f"{_path(asked.instance_id)}/timeline", query, TimelineAnswer)

    def follow(self, instance_id: str) -> Iterator[SignalAnswer]:
        """Open the stream at once; give signals as they are recorded."""
        # Opened before anything is read of it, so that a page asked for meanwhile misses nothing.
        opened = self._ask("GET", "/v1/stream", {"instanceId": instance_id}, None, FOLLOW_SECONDS)
        return self._followed(*opened)

    def _followed(
        self, response: http.client.HTTPResponse, connection: http.client.HTTPConnection
    ) -> Iterator[SignalAnswer]:
        event = ""
        try:
            while line := response.readline():
                name, _, value = line.decode().rstrip("\n").partition(": ")
                if name == "event":
                    event = value
                elif name == "data" and event == "signal":
                    yield msgspec.json.decode(value, type=SignalAnswer)
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        finally:
            connection.close()
        raise CommandFailed(f"{self.where} ended the stream; ask again with --since for what was missed")

    def reputation(self, instance_id: str, at: Millis | None) -> ReputationAnswer:
        """Tell how an instance stands, or stood."""
        return self._get(f"{_path(instance_id)}/reputation", {"at": at}, ReputationAnswer)

    def decisions(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionAnswer]:
        """Give decisions, newest first."""
        cursor: str | None = None
        while True:
            query = {"since": since, "until": until, "limit": DECISIONS_PAGE, "cursor": cursor}
            page = self._get(f"{_path(instance_id)}/decisions", query, DecisionsAnswer)
            yield from page.decisions
            cursor = page.next_cursor
            if cursor is None:
                return

    def replayed(self, instance_id: str, since: Millis, until: Millis) -> Iterator[DecisionDetail]:
        """Give decisions recomputed, newest first."""
        self.reputation(instance_id, None)  # an unknown instance is a mistake, not an empty list
        for decision in self.decisions(instance_id, since, until):
            try:
                detail = self._get(f"/v1/decisions/{quote(decision.id)}", {"replay": "true"}, DecisionDetail)
            except PastRetention:
                detail = DecisionDetail(**msgspec.structs.asdict(decision))
            yield detail

    def exchanged(
        self, method: str, path: str, body: bytes | None = None, seconds: float = ANSWER_SECONDS
    ) -> tuple[int, bytes]:
        """Put a request; give status and body whatever they are.

        Raises:
            CommandFailed: nobody answers.
        """
        connection = self._connect(seconds)
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        try:
            connection.request(method, self._base.path.rstrip("/") + path, body, headers)
            response = connection.getresponse()
            return response.status, response.read()
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        finally:
            connection.close()

    def close(self) -> None:
        """Nothing stays open between questions."""

    def _get(self, path: str, query: Mapping[str, Any], answer: type[T]) -> T:
        response, connection = self._ask("GET", path, query, None, ANSWER_SECONDS)
        try:
            return msgspec.json.decode(response.read(), type=answer)
        except (OSError, http.client.HTTPException) as error:
            raise self._away(error) from error
        except msgspec.MsgspecError as error:
            raise CommandFailed(
                f"{self.where} is of another version: {path} answers in another form"
            ) from error
        finally:
            connection.close()

    def _ask(
        self, method: str, path: str, query: Mapping[str, Any], body: bytes | None, seconds: float
    ) -> tuple[http.client.HTTPResponse, http.client.HTTPConnection]:
        given = urlencode({name: value for name, value in query.items() if value not in (None, "")})
        target = self._base.path.rstrip("/") + path + (f"?{given}" if given else "")
        headers = self._headers | ({"Content-Type": "application/json"} if body is not None else {})
        connection = self._connect(seconds)
        try:
            connection.request(method, target, body, headers)
            response = connection.getresponse()
            refused = None if response.status < 300 else self.refusal(response.status, response.read(), path)
        except (OSError, http.client.HTTPException) as error:
            connection.close()
            raise self._away(error) from error
        if refused is not None:
            connection.close()
            raise refused
        return response, connection

    def _connect(self, seconds: float) -> http.client.HTTPConnection:
        secure = self._base.scheme == "https"
        kind = http.client.HTTPSConnection if secure else http.client.HTTPConnection
        return kind(self._base.hostname or "", self._base.port, timeout=seconds)

    def _away(self, error: Exception) -> CommandFailed:
        why = (error.strerror if isinstance(error, OSError) else None) or str(error) or type(error).__name__
        return CommandFailed(
            f"{self.where} does not answer ({why}); start the sidecar, or leave --url out to read the store "
            "directly",
            UNREACHABLE,
        )

    def refusal(self, status: int, body: bytes, path: str) -> Exception:
        """Give what an answer that is no success means."""
        try:
            problem = json.loads(body)["error"]
            code, message = str(problem["code"]), str(problem["message"])
        except (ValueError, LookupError, TypeError):
            return CommandFailed(f"{self.where} answers {status} and is no sidecar; correct --url", FAILED)
        if status == 401:
            told = (
                "refuses the token it was shown; correct SIDECAR_ADMIN_TOKEN or SIDECAR_ADMIN_TOKEN_FILE: it "
                "is another sidecar's, or was changed since"
                if self._headers
                else "wants its token; set SIDECAR_ADMIN_TOKEN or SIDECAR_ADMIN_TOKEN_FILE"
            )
            return CommandFailed(f"{self.where} {told}", CONFIGURATION)
        if code in _UNKNOWN:
            return UnknownInstance(unquote(path.removeprefix("/v1/instances/").partition("/")[0]))
        if code == "past_retention":
            return PastRetention(path)
        exit_status = UNREACHABLE if status >= 429 else CONFIGURATION if status == 400 else FAILED
        return CommandFailed(f"{self.where}: {message} ({code})", exit_status)


def _path(instance_id: str) -> str:
    return f"/v1/instances/{quote(instance_id, safe='')}"
