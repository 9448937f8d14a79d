"""Blanks personal ids in the one transaction the store opens; see `domain.forget`."""

from collections.abc import Collection
from typing import Any, Final

from sqlalchemy import Connection

from domain.forget import ForgottenPage, References, RowKey

REWRITTEN_BYTES_MAX: Final = 64 << 20
"""Up to here a SQLite file is rewritten while recording waits: well under a second."""

_LOCK: Final = 'SELECT 1 FROM instance_reputation WHERE "instanceId" = {0} FOR UPDATE'
_PAGE: Final = """SELECT seq, id, "messageId", "remoteJid" FROM reputation_signal
    WHERE "instanceId" = {0} AND seq >= {0} AND (seq > {0} OR id > {0}) ORDER BY seq, id LIMIT {0}"""
_BLANK_MESSAGE: Final = """UPDATE reputation_signal
    SET "messageId" = NULL, "remoteJid" = NULL, "messageRef" = {0}
    WHERE "instanceId" = {0} AND "messageId" = {0}"""
_BLANK_ROW: Final = (
    """UPDATE reputation_signal SET "remoteJid" = NULL WHERE "instanceId" = {0} AND id = {0}"""
)


def blank_page(
    connection: Connection,
    instance_id: str,
    remote_jids: Collection[str],
    references: References,
    after: RowKey,
    limit: int,
) -> ForgottenPage:
    """Blank what is meant among the next rows; whole messages, so that their reports go on being one."""
    mark = "%s" if connection.dialect.name == "postgresql" else "?"

    def run(statement: str, *parameters: Any) -> Any:
        return connection.exec_driver_sql(statement.format(mark), parameters)

    if connection.dialect.name == "postgresql":
        run(_LOCK, instance_id)  # recording and evaluation of this instance wait, or are waited for
    rows = run(_PAGE, instance_id, after.seq, after.seq, after.id, limit).all()
    meant = [row for row in rows if _meant(row[2], row[3], remote_jids)]
    blanked = 0
    for message_id in {row[2]: None for row in meant if row[2] is not None}:
        blanked += run(_BLANK_MESSAGE, references(instance_id, message_id), instance_id, message_id).rowcount
    for row in meant:
        if row[2] is None:
            blanked += run(_BLANK_ROW, instance_id, row[1]).rowcount
    return ForgottenPage(len(rows), blanked, RowKey(rows[-1][0], rows[-1][1]) if len(rows) == limit else None)


def _meant(message_id: str | None, remote_jid: str | None, remote_jids: Collection[str]) -> bool:
    if remote_jids:
        return remote_jid in remote_jids
    return message_id is not None or remote_jid is not None


def overwrite_freed(connection: Connection) -> None:
    """Let SQLite overwrite with zeros what this connection frees from here on."""
    connection.exec_driver_sql("PRAGMA secure_delete=ON")


def scrub_file(connection: Connection, file_bytes: int) -> bool:
    """Rewrite a small SQLite file and cut its log to nothing; False where earlier bytes may be left.

    Overwriting is not enough: moving rows between pages leaves copies in parts of a page that nothing uses
    (seen: 2 of 399 ids).
    """
    small = file_bytes <= REWRITTEN_BYTES_MAX
    cursor = connection.connection.cursor()
    try:
        if small:
            cursor.execute("VACUUM")
        busy = cursor.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]
    finally:
        cursor.close()
    return small and not busy
