"""Which form of an answer the caller accepts (RFC 9110 section 12.5.1)."""

from collections.abc import Sequence
from typing import Final

from aiohttp import web

from sidecar.api.errors import ApiError

ACCEPT_MAX: Final = 1024


def pick(request: web.Request, offers: Sequence[str]) -> str:
    """Give the best of `offers`, the first of equals; without an Accept header the first.

    Raises:
        ApiError: 406, none is acceptable.
    """
    ranges = list(_ranges(",".join(request.headers.getall("Accept", []))[:ACCEPT_MAX]))
    if not ranges:
        return offers[0]
    best = max(offers, key=lambda offer: _quality(offer, ranges))
    if _quality(best, ranges) <= 0:
        raise ApiError(406, "not_acceptable", f"this route answers {', '.join(offers)}")
    return best


def _ranges(accept: str) -> list[tuple[str, float]]:
    ranges = []
    for part in accept.split(","):
        name, *options = (piece.strip().lower() for piece in part.split(";"))
        if name:
            ranges.append((name, next((_number(o[2:]) for o in options if o.startswith("q=")), 1.0)))
    return ranges


def _number(text: str) -> float:
    try:
        return min(1.0, max(0.0, float(text)))
    except ValueError:
        return 0.0


def _quality(offer: str, ranges: Sequence[tuple[str, float]]) -> float:
    """Give the quality of the most specific range that holds the offer, 0 for none."""
    family = offer.partition("/")[0] + "/*"
    found = dict(ranges)
    return next((found[name] for name in (offer, family, "*/*") if name in found), 0.0)
