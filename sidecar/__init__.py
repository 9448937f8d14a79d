"""The sidecar process: traffic in, journal, recorder, admin API, wiring, command line.

    socket -> wire -> Exchange -> reader -> events -> to_signal -> journal        (worker)
    journal -> recorder -> store, log, OTel, Prometheus -> health                 (recorder)
    operator -> api -> GetReputationTimeline -> store

Start reading at `bootstrap.py`, the only file that knows all the others.
"""

__version__ = "0.1.0"
