"""How commands ask a running sidecar: its admin API, over HTTP, with the configured token."""

import json
import sys
from collections.abc import Callable, Mapping
from http.client import HTTPException
from typing import Any, Final, NoReturn
from urllib.error import HTTPError, URLError
from urllib.parse import quote, urlencode
from urllib.request import Request, urlopen

from sidecar.config import ConfigurationError, load

EXIT_FAILED: Final = 1
EXIT_USAGE: Final = 2
EXIT_UNREACHABLE: Final = 3
TIMEOUT_SECONDS: Final = 30.0
PAGE: Final = 500


class AskError(Exception):
    """The question was not answered; the message is for the operator, `status` for the shell."""

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


class Admin:
    """The admin API of one sidecar.

    Args:
        url: base URL; None takes the configured admin address.
        config_file: TOML file of the settings, for address and token.

    Raises:
        AskError: the configuration has faults.
    """

    def __init__(self, url: str | None, config_file: str | None) -> None:
        try:
            settings = load(None, config_file=config_file, serving=False).settings
        except ConfigurationError as error:
            raise AskError("; ".join(map(str, error.faults)), EXIT_USAGE) from error
        self._base = (url or f"http://{settings.admin_listen}").rstrip("/")
        self._token = settings.admin_token

    def get(self, path: str, query: Mapping[str, object] | None = None) -> Any:
        """Ask for JSON.

        Raises:
            AskError: nobody answers there, or the answer is an error.
        """
        given = {key: value for key, value in (query or {}).items() if value is not None}
        url = self._base + path + (f"?{urlencode(given)}" if given else "")
        if not url.startswith(("http://", "https://")):
            raise AskError(f"--url must be an http or https URL, got {self._base}", EXIT_USAGE)
        request = Request(url, headers={"Accept": "application/json"})  # noqa: S310 - the scheme is checked above
        if self._token:
            request.add_header("Authorization", f"Bearer {self._token}")
        try:
            with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - as above
                return json.load(answer)
        except HTTPError as error:
            raise AskError(_told(error), EXIT_FAILED) from error
        except (URLError, OSError, HTTPException, ValueError) as error:
            raise AskError(
                f"no sidecar answers at {self._base} ({getattr(error, 'reason', error)}); "
                "start one, or name its admin address with --url",
                EXIT_UNREACHABLE,
            ) from error

    def pages(self, path: str, items: str, query: Mapping[str, object], most: int | None) -> list[Any]:
        """Ask page by page; give the items of all, at most `most`."""
        found: list[Any] = []
        cursor = None
        while most is None or len(found) < most:
            page = self.get(path, {**query, "cursor": cursor})
            found += page[items]
            cursor = page["nextCursor"]
            if cursor is None:
                break
        return found if most is None else found[:most]


def instance_path(instance: str, rest: str = "") -> str:
    """Give the path of an instance; its id may hold anything."""
    return f"/v1/instances/{quote(instance, safe='')}{rest}"


def answered(work: Callable[[], None]) -> NoReturn:
    """Run a command's body; end with 0, or with a sentence and the status that fits."""
    try:
        work()
    except AskError as error:
        sys.stderr.write(f"sidecar: {error}\n")
        sys.exit(error.status)
    except BrokenPipeError:  # the reader of our output left; that is its right
        sys.stderr.close()
    sys.exit(0)


def print_json(content: Any) -> None:
    """Print a result for programs."""
    sys.stdout.write(json.dumps(content, ensure_ascii=False) + "\n")


def _told(error: HTTPError) -> str:
    if error.code == 401:
        return "the sidecar asks for its token; set SIDECAR_ADMIN_TOKEN or SIDECAR_ADMIN_TOKEN_FILE"
    try:
        message = json.load(error)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = "no reason given"
    return f"the sidecar answered {error.code}: {message}"
