"""ForgetPersonalIds: blank `remoteJid` and `messageId` of an instance, or of one chat; the facts stay.

What identifies people goes, what the rules count stays: ids of signals, dates, types, decisions. Reports of
one message must go on counting as one (the fold, 11), so each blanked message keeps a reference of its own,
made with a key that exists only while this runs: nobody can compute it from the message's id afterwards, and
every stored decision is reproduced as before.

    forgotten = ForgetPersonalIds(store)(instance_id="sales-1")
    forgotten = ForgetPersonalIds(store)(remote_jids={redactor.remote_jid("5511999990000@s.whatsapp.net")})

It blanks what is *stored*. A fact that waits in the journal is recorded afterwards with its ids: run it when
nothing is pending (behind a drain, or while `reputation_signals_pending` is 0), and again where traffic goes
on. Segments of the journal are deleted once they are full and recorded, quarantined parts never: what lies in
them is not reached, and neither are log lines and exported telemetry, backups, nor (until its next VACUUM)
the dead rows of PostgreSQL. SQLite overwrites what it frees, its log is emptied at the end, and a file of up
to 64 MiB is rewritten: what was moved within a page may have left a copy behind.
"""

import hashlib
import hmac
import secrets
from collections.abc import Collection
from typing import Final, NamedTuple, Protocol

from domain.recorded import InstanceSummary

PAGE_ROWS_MAX: Final = 1000
"""Rows looked at in one transaction: recording waits for no more than that."""

_INSTANCES_MAX: Final = 500
"""Instances listed at once."""

REFERENCE_PREFIX: Final = "\x1f"
"""Begins every reference; no message id may hold it (`domain.signal`), so the two cannot be mistaken."""

_KEY_BYTES: Final = 32


class References:
    """Makes the reference that stands for a blanked message: equal for equal messages, while it lives."""

    def __init__(self) -> None:
        self._key = secrets.token_bytes(_KEY_BYTES)

    def __call__(self, instance_id: str, message_id: str) -> str:
        """Give the reference of one message."""
        name = f"{instance_id}\x1f{message_id}".encode("utf-8", "surrogatepass")
        return REFERENCE_PREFIX + hmac.digest(self._key, name, hashlib.sha256).hex()[:32]


class RowKey(NamedTuple):
    """The last row of a page of one instance's rows, in order of arrival."""

    seq: int
    id: str


class ForgottenPage(NamedTuple):
    """What one transaction did: rows looked at, rows blanked, and where the next one goes on (None: done)."""

    seen: int
    blanked: int
    next_key: RowKey | None


class Forgotten(NamedTuple):
    """What was done in all.

    Attributes:
        instances: those that had something to blank.
        seen: rows looked at.
        blanked: rows that lost an id.
        scrubbed: nothing in the store's own files holds an earlier form of a row any more. False on
            PostgreSQL (VACUUM and its log are the database's), on a SQLite file too large to rewrite while
            recording waits (stop the sidecar, then `VACUUM`), and while a reader keeps the old pages.
    """

    instances: int
    seen: int
    blanked: int
    scrubbed: bool


class ForgettingStore(Protocol):
    """What forgetting asks of the store. Every method may raise `StoreUnavailable`."""

    def instances(self, after: str | None, limit: int) -> list[InstanceSummary]:
        """Give instances in ascending order of their id, those behind `after`, at most `limit`."""
        ...

    def forget(
        self,
        instance_id: str,
        remote_jids: Collection[str],
        references: References,
        after: RowKey | None,
        limit: int,
    ) -> ForgottenPage:
        """Blank ids among the next `limit` rows of an instance, in one transaction that holds the instance.

        Args:
            instance_id: whose rows.
            remote_jids: stored forms of the chats meant; empty: every row is.
            references: what stands for a blanked message id; every row of that message gets it, also
                those outside the page.
            after: continue behind this row.
            limit: rows looked at.
        """
        ...

    def scrub(self) -> bool:
        """Leave no earlier form of a row in the store's own files; False: some may be left there."""
        ...


class ForgetPersonalIds:
    """Runs in bounded transactions, beside recording; safe to run again after a failure."""

    def __init__(self, store: ForgettingStore) -> None:
        self._store = store

    def __call__(self, *, instance_id: str | None = None, remote_jids: Collection[str] = ()) -> Forgotten:
        """Blank the ids of one instance, of some chats, or of some chats of one instance.

        Args:
            instance_id: only this one; None: every instance.
            remote_jids: stored forms of a chat id (`domain.redaction.Redactor.remote_jid`, and the id
                itself where it was ever kept plain); empty: all of the instance's rows.

        Raises:
            ValueError: neither is given.
            StoreUnavailable: what was blanked so far stays blanked.
        """
        if instance_id is None and not remote_jids:
            raise ValueError("name an instance or a chat to forget; forgetting all is not offered")
        references = References()
        touched = seen = blanked = 0
        for one in [instance_id] if instance_id is not None else self._instances():
            page = ForgottenPage(0, 0, RowKey(-1, ""))
            of_instance = 0
            while page.next_key is not None:
                page = self._store.forget(one, remote_jids, references, page.next_key, PAGE_ROWS_MAX)
                seen += page.seen
                of_instance += page.blanked
            blanked += of_instance
            touched += of_instance > 0
        return Forgotten(touched, seen, blanked, self._store.scrub())

    def _instances(self) -> list[str]:
        names: list[str] = []
        while page := self._store.instances(names[-1] if names else None, _INSTANCES_MAX):
            names += [summary.instance_id for summary in page]
        return names
