"""The reputation domain: standard library only, no clock, no I/O, no framework.

The nouns, in the order a fact meets them:

    event      a provider's traffic, normalized                          event.py
    signal     one redacted fact about an instance; no opinion           signal.py, redaction.py
    exchange   one request and its response, as it is journaled          exchange.py
    recorded   the signal as a row: id, arrival, latency                 identity.py, recorded.py
    timeline   recorded signals and gaps of one instance, in order       timeline.py
    window     a span of time; the snapshot counts what is inside it     snapshot.py
    reputation score, level, cooldown: a pure fold over the facts        rules.py, reputation.py, fold.py
    decision   what an evaluation concluded, with its evidence           decision.py

The use cases: `IngestReputationSignal` (event to signal, in the worker), `RecordReputationSignal` (the one
way into the store, in the recorder), `EvaluateInstanceHealth`, `GetReputationTimeline`. What they need from
outside is in `ports.py`.
"""
