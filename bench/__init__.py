"""Benchmarks: `python -m bench p1 p2`, one section an aim of the performance budget, each alone or together.

    machine      what this runs on, and which core a process may use
    load         closed-loop load (wrk) and constant-rate load (own, coordinated omission corrected)
    serving      nginx as upstream and as proxy, aiohttp, mitmproxy: each a process on its core
    measured     the sidecar likewise, with its processes told apart
    report       one table, each row beside its aim
    p1 .. p7     the sections

Never a timed unit test: numbers mean something only beside each other, in one run, on a quiet machine.
"""
