"""The sidecar process: traffic in, journal, recorder, admin API, wiring, command line.

    socket -> wire -> Exchange -> reader -> events -> redacted signals -> journal  (worker)
    journal -> recorder -> store, log, OTel, Prometheus -> health                  (recorder)
    operator -> api -> GetReputationTimeline -> store

`bootstrap/` is the only place that knows all the others. Start reading at docs/architecture.md.
"""

__version__: str


def __getattr__(name: str) -> str:
    """Give `__version__`, which comes from the tag that was built; read when asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - most commands need no version

        return version("reputation-sidecar")
    raise AttributeError(name)
