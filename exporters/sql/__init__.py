"""The store: SQLite (embedded) and PostgreSQL (shared), the same tables and queries on both.

    store.py      SqlStore, what the composition root makes: opens, locks, migrates, hands out the parts
    engine.py     URLs, connections, and what a database's refusal means to the domain
    lock.py       one sidecar a SQLite file
    migrate.py    brings the schema to its newest revision; `migrations/` holds the steps
    schema.py     the tables (design section 7), types.py how values lie in them
    recording.py  the one write transaction of a batch
    reading.py    timeline, gaps, instances

Statements are built by SQLAlchemy Core from the tables; those on the hot path are compiled once and run by
the driver itself (docs/adr/0003).
"""
