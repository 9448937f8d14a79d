"""Forgetting: what identifies people goes, every fact and every decision stays."""

import pytest

from domain.forget import PAGE_ROWS_MAX, REFERENCE_PREFIX, ForgetPersonalIds, References
from tests.builders import recorded_signal
from tests.exporters.sql.test_store_contract import everything, put
from tests.fakes import InMemoryStore

T0 = 1_700_000_000_000


def test_forgetting_everything_is_not_offered() -> None:
    """Neither an instance nor a chat: a mistake of the caller's, nothing happens."""
    store = InMemoryStore()
    put(store, recorded_signal(1, T0, message_id="M1"))

    with pytest.raises(ValueError, match="instance or a chat"):
        ForgetPersonalIds(store)()

    assert store.timeline(everything()).signals[0].message_id == "M1"


def test_a_reference_is_equal_for_equal_messages_of_one_run_only() -> None:
    """Reports of one message go on being one; nobody can tell the message's id from it later."""
    first, second = References(), References()

    assert first("sales-1", "M1") == first("sales-1", "M1")
    assert first("sales-1", "M1") != first("sales-1", "M2")
    assert first("sales-1", "M1") != first("sales-2", "M1")
    assert first("sales-1", "M1") != second("sales-1", "M1")
    assert first("sales-1", "M1").startswith(REFERENCE_PREFIX)


def test_an_instance_longer_than_a_page_is_walked_to_its_end() -> None:
    """Exactly one page, and a row more: every row is looked at once, every id is gone."""
    for rows in (PAGE_ROWS_MAX, PAGE_ROWS_MAX + 1):
        store = InMemoryStore()
        put(store, *(recorded_signal(n, T0 + n, message_id=f"M{n}") for n in range(1, rows + 1)))

        forgotten = ForgetPersonalIds(store)(instance_id="sales-1")

        assert (forgotten.instances, forgotten.seen, forgotten.blanked) == (1, rows, rows)
        assert {row.message_id for row in store.timeline(everything(limit=5000)).signals} == {None}


def test_forgetting_a_chat_walks_every_instance() -> None:
    """Without an instance named, the chat goes wherever it stands, and nothing else does."""
    store = InMemoryStore()
    put(store, recorded_signal(1, T0, message_id="M1", remote_jid="chat"))
    put(store, recorded_signal(1, T0, message_id="M2", remote_jid="chat", instance_id="other"))
    put(store, recorded_signal(2, T0, message_id="M3", remote_jid="another", instance_id="other"))

    told = ForgetPersonalIds(store)(remote_jids=["chat"])

    assert (told.instances, told.blanked) == (2, 2)
