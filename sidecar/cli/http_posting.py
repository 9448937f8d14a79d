"""Hands facts to a running sidecar, never faster than it records them."""

import re
import threading
from collections.abc import Sequence
from typing import Final

import msgspec

from sidecar.api.posting import BadItem, PostingErrorAnswer
from sidecar.cli.errors import UNREACHABLE, CommandFailed
from sidecar.cli.over_http import HttpAnswers
from sidecar.cli.taking import Taken
from sidecar.clock import monotonic_ns

PATH: Final = "/v1/signals"
TRIES_MAX: Final = 30
RETRY_SECONDS: Final = 1.0
_BUSY: Final = frozenset({429, 503})
LOOK_EVERY: Final = 10_000
PENDING_MAX: Final = 20_000
"""Facts that may wait in the journal before more are handed over: traffic shares its bound."""
PENDING_SECONDS: Final = 300.0
_PENDING: Final = re.compile(rb"^reputation_signals_pending(?:\{[^}]*\})? ([0-9.e+]+)$", re.MULTILINE)


class HttpPosting:
    """Implements `sidecar.cli.taking.Taking` over `POST /v1/signals`."""

    def __init__(self, answers: HttpAnswers) -> None:
        self.where = f"the sidecar at {answers.where}"
        self._answers = answers
        self._wait = threading.Event().wait
        self._since_look = 0

    def take(self, items: Sequence[msgspec.Raw]) -> Taken:
        """Post a batch; where some are bad, post the good ones."""
        self._pace(len(items))
        bad = self._post(items)
        if bad:
            refused = {one.index for one in bad}
            good = [item for index, item in enumerate(items) if index not in refused]
            if good and self._post(good):
                raise CommandFailed(f"{self.where} refuses facts it took before; is it being replaced?")
        return Taken(bad, None)

    def close(self) -> None:
        """Nothing stays open between requests."""
        self._answers.close()

    def _post(self, items: Sequence[msgspec.Raw]) -> Sequence[BadItem]:
        body = msgspec.json.encode({"signals": items})
        for _ in range(TRIES_MAX):
            status, answer = self._answers.exchanged("POST", PATH, body)
            if status not in _BUSY:
                break
            self._wait(RETRY_SECONDS)
        if status < 300:
            return ()
        if status == 400:
            try:
                return msgspec.json.decode(answer, type=PostingErrorAnswer).error.items
            except msgspec.MsgspecError:
                pass  # another kind of 400: told below
        raise self._answers.refusal(status, answer, PATH)

    def _pace(self, facts: int) -> None:
        """Look at the backlog now and then; wait while it is long."""
        self._since_look += facts
        if self._since_look < LOOK_EVERY:
            return
        self._since_look = 0
        deadline = monotonic_ns() + int(PENDING_SECONDS * 1e9)
        while pending_facts(self._answers) > PENDING_MAX:
            if monotonic_ns() > deadline:
                raise CommandFailed(
                    f"{self.where} does not record what waits in its journal; see its log and /readyz, then "
                    "run the import again: it continues where it stopped",
                    UNREACHABLE,
                )
            self._wait(RETRY_SECONDS)


def pending_facts(answers: HttpAnswers) -> float:
    """Give how many observed facts are not recorded yet; 0 where that is not told."""
    status, page = answers.exchanged("GET", "/metrics")
    found = _PENDING.search(page) if status == 200 else None
    return float(found[1]) if found else 0.0
