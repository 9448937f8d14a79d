"""The reference's recorded behaviour as test vectors, and everything that runs them.

`data/` holds inputs and the outputs the reference implementation gave. `reference.py`, `reference_health.py`
and `reference_traffic.py` put the domain's pure functions together the way the reference does, quirks
included, so that every case is executable; the product uses none of it. `cases.py` runs one case of each
file.
"""
