"""`sidecar forget`: blanks message and chat ids, through the running sidecar or in the store."""

import threading
from pathlib import Path
from typing import Final
from urllib.parse import quote

import msgspec

from sidecar.api.forgetting import ForgetBody, ForgottenAnswer, forgotten_answer, stored_forms
from sidecar.cli.errors import CONFIGURATION, DONE, CommandFailed, complain
from sidecar.cli.finding import running, settings_for
from sidecar.cli.http_posting import pending_facts
from sidecar.cli.options import Place
from sidecar.cli.over_http import HttpAnswers
from sidecar.cli.printing import print_json, print_line

FORGET_SECONDS: Final = 1800.0
SETTLE_SECONDS: Final = 10
"""How long facts that wait in the journal may take to be recorded first."""


def forget(place: Place, instance_id: str | None, jid: str | None, *, as_json: bool) -> int:
    """Forget, and say what was reached and what was not."""
    if instance_id is None and not jid:
        raise CommandFailed("say what to forget: --instance ID, --jid JID, or both", CONFIGURATION)
    settings = settings_for(place).settings
    answers = running(settings, place)
    waiting = 0
    if answers is not None:
        waiting = _settle(answers)
        done = _through(answers, instance_id, jid)
    else:
        from sidecar.bootstrap.forgetting import forget_offline  # noqa: PLC0415 - loads the database's library
        from sidecar.bootstrap.offline import open_reader, redactor_for  # noqa: PLC0415 - as above

        if not Path(settings.data_dir).is_dir():
            raise CommandFailed(
                f"there is no data directory {settings.data_dir}; name the one with --data-dir: its key is "
                "needed to find a chat",
                CONFIGURATION,
            )
        open_reader(settings).close()  # a store that is not there must not be made, and called empty
        jids = stored_forms(redactor_for(settings), jid) if jid else ()
        done = forgotten_answer(forget_offline(settings, instance_id, jids))
    if as_json:
        print_json({**msgspec.to_builtins(done), "online": answers is not None, "waiting": waiting})
        return DONE
    print_line(f"{done.blanked} of {done.seen} signals lost their ids, of {done.instances} instances")
    for left in _left(done, online=answers is not None, waiting=waiting):
        complain(left)
    return DONE


def _settle(answers: HttpAnswers) -> int:
    """Let the journal drain; give how many facts still wait."""
    wait = threading.Event().wait
    for _ in range(SETTLE_SECONDS * 2):
        if not (waiting := int(pending_facts(answers))):
            return 0
        wait(0.5)
    return waiting


def _through(answers: HttpAnswers, instance_id: str | None, jid: str | None) -> ForgottenAnswer:
    path = "/v1/forget" if instance_id is None else f"/v1/instances/{quote(instance_id, safe='')}/forget"
    body = msgspec.json.encode(ForgetBody(remote_jid=jid or None))
    status, answer = answers.exchanged("POST", path, body, FORGET_SECONDS)
    if status >= 300:
        raise answers.refusal(status, answer, path)
    return msgspec.json.decode(answer, type=ForgottenAnswer)


def _left(done: ForgottenAnswer, *, online: bool, waiting: int) -> list[str]:
    """Say what an erasure did not reach (docs/adr/0013, docs/adr/0017)."""
    left = []
    if waiting:
        left.append(f"{waiting} facts still waited in the journal and may bring ids back: run it again later")
    if online:
        left.append(
            "the journal's open segments still hold what was recorded from them; start `sidecar run` anew on "
            "this data directory (it takes over without a lost connection), then they are removed"
        )
    if not done.scrubbed:
        left.append(
            "the database's files may hold earlier forms of the rows until they are rewritten: VACUUM it"
        )
    left.append("log lines, exported telemetry, backups and quarantined journal parts are not reached")
    return left
