"""The sidecar process: traffic in, journal, recorder, admin API, wiring, command line.

    socket -> wire -> Exchange -> reader -> events -> redacted signals -> journal  (worker)
    journal -> recorder -> store, log, OTel, Prometheus -> health                  (recorder)
    operator -> api -> GetReputationTimeline -> store

`bootstrap/` is the only place that knows all the others. Start reading at docs/architecture.md.
"""

__version__: str
__revision__: str


def __getattr__(name: str) -> str:
    """Give `__version__` and `__revision__`: tag and commit of the build; read when asked for."""
    if name == "__version__":
        from importlib.metadata import version  # noqa: PLC0415 - most commands need no version

        return version("reputation-sidecar")
    if name == "__revision__":
        from importlib.resources import files  # noqa: PLC0415 - as above

        built = files(__name__) / "revision.txt"  # put into a package by hatch_build.py
        return built.read_text("ascii").strip() if built.is_file() else "checkout"
    raise AttributeError(name)
