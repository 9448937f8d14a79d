"""The admin API: what happened to a number, and why is it in cooldown? It never touches traffic.

    listener -> security -> route -> parameters -> readers (threads, bounded) -> store -> answer
    recorder -> hub -> event streams

`routes.py` is the table of everything that is served; `openapi.py` prints the same table.
Only the composition root and tests call `make_app`.
"""

from sidecar.api.app import make_app, serve
from sidecar.api.hub import Hub
from sidecar.api.listen import Listener
from sidecar.api.parts import AdminCounts, AdminParts, Evaluation, Health, Posting, refusals

__all__ = [
    "AdminCounts",
    "AdminParts",
    "Evaluation",
    "Health",
    "Hub",
    "Listener",
    "Posting",
    "make_app",
    "refusals",
    "serve",
]
