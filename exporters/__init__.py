"""Results out: log, OpenTelemetry, Prometheus, SQL. Each implements ports of the domain.

announced.py   what is announced besides signals
log.py         one line a signal, a decision, a failed exchange
prometheus/    every metric
otel/          log records and spans over OTLP
sql/           the store, on SQLite and PostgreSQL
"""
