"""The reliability suite: mixed load and hostile peers around a real sidecar, faults injected in turn.

    peers.py     the gateway and the dispatcher; they check the seal of all they receive
    traffic.py   well-behaved callers; they check the seal of every answer
    hostile.py   callers and ends that mean harm
    watching.py  memory, file handles and the ledger over time
    run.py       the phases and the report

`make soak` runs it for minutes, `ARGS="--minutes 480"` for hours; `test_soak.py` is its short form.
"""
