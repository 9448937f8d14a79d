"""The native run: real Prometheus, real sidecar; alerts fire and fall silent for scripted incidents.

    python -m dashboards.native [--faster 60] [--report FILE]

Needs `prometheus` on the path (Debian package `prometheus`). Rules and alerts are the committed ones with
every duration divided, so that what takes an hour takes a minute. While the incidents last every query of the
boards is asked. Exit code 1 when an expected alert did not fire or did not fall silent again, one fired
without cause, or a query gave nothing that should have.
"""
