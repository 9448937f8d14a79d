"""OpenTelemetry: each signal and decision a log record with an event name, each exchange a pair of spans.

    settings     the OTEL_* variables
    wire_format  protobuf primitives
    log_records  signals and decisions as OTLP LogRecords
    spans        exchanges as OTLP Spans; which of them are sampled
    resource     who speaks; the only module that imports the SDK
    http, grpc   one request to a collector
    pipeline     bounded queue, batches, retries, a deadline for the end
    sink         the port the recorder calls

The SDK's way (its record objects and its encoder) costs 84 µs a record where this costs 3, and its shutdown
can hang for half a minute. OTLP is a stable protocol, so records are written in its wire format directly;
tests decode them with the protocol's own classes and compare with what the SDK makes of the same record.
"""
