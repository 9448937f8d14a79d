"""OpenTelemetry: each signal and decision a log record with an event name, each exchange a pair of spans.

    settings     the OTEL_* variables
    opening      the sink they ask for, if any; imports the rest only then
    attributes   values into the protocol's messages
    log_records  signals and decisions as OTLP LogRecords
    spans        exchanges as OTLP Spans
    sampling     which of them: the SDK's samplers
    resource     who speaks: the SDK's resource
    http, grpc   one request to a collector
    pipeline     bounded queue, batches, retries, a deadline for the end
    sink         the port the recorder calls

Records are the protocol's own generated classes, filled directly (docs/adr/0014): the SDK's record objects
and its encoder between would cost ten times as much, and its shutdown can hang for half a minute. Tests
compare a record with what the SDK makes of it.
"""
