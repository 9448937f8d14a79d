"""Bodies of requests: what is refused, and how."""

import io
from typing import Any

import pytest

from sidecar.api.body import BODY_MAX
from tests.sidecar.api.serving import admin, run

TOKEN = "secret"
JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "headers", "problem"),
    [
        (b"", {}, (400, "invalid_body", "token")),
        (b"{}", JSON, (400, "invalid_body", "token")),
        (b'{"token": 5}', JSON, (400, "invalid_body", "token")),
        (b"[]", JSON, (400, "invalid_body", None)),
        (b"{", JSON, (400, "invalid_json", None)),
        (b'{"token": "\xff"}', JSON, (400, "invalid_json", None)),
        (b"token=secret", {"Content-Type": "text/plain"}, (415, "unsupported_media_type", None)),
        (b"a=", {"Content-Type": "application/x-www-form-urlencoded"}, (400, "invalid_body", "token")),
        (b"token=1&a=1", {"Content-Type": "application/x-www-form-urlencoded"}, (400, "invalid_body", None)),
        (b"\xff=1", {"Content-Type": "application/x-www-form-urlencoded"}, (400, "invalid_json", None)),
        (b"\x20" * (BODY_MAX + 1), JSON, (413, "body_too_large", None)),
    ],
)
def test_a_bad_body_is_refused_with_its_field(
    body: bytes, headers: dict[str, str], problem: tuple[int, str, str | None]
) -> None:
    """Each fault has its status and code; the field is named when it is known."""

    async def story() -> Any:
        async with admin(token=TOKEN) as api:
            return (await api.post("/session", data=io.BytesIO(body), headers=headers)).problem

    assert run(story) == problem
