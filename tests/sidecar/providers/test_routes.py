"""Which call a request is."""

import pytest

from sidecar.providers.contract import Action
from sidecar.providers.routes import (
    QUERY_FIELDS_MAX,
    SEEN_MAX,
    SEEN_TARGET_MAX,
    SEGMENTS_MAX,
    Routes,
    Row,
    query,
)

ROWS = (
    Row("GET", "/a/{name}", Action.GET_STATUS),
    Row("GET", "/a/list", Action.OTHER),
    Row("POST", "/a/{name}/b/{other}", Action.CONNECT),
    Row("GET", "/{any}/x", Action.LOGOUT),
    Row("GET", "/c/{name}/{...}", Action.OTHER),
)
ROUTES = Routes(ROWS, prefixes=("", "/api"))


@pytest.mark.parametrize(
    ("method", "target", "template", "values"),
    [
        ("GET", "/a/one", "/a/{name}", ("one",)),
        ("GET", "/a/one/", "/a/{name}", ("one",)),
        ("GET", "/a/list", "/a/list", ()),
        ("GET", "/api/a/one?x=/a/list", "/api/a/{name}", ("one",)),
        ("POST", "/a/list/b/2", "/a/{name}/b/{other}", ("list", "2")),
        ("POST", "/a/o%20e%2Fx/b/%C3%A9%zz", "/a/{name}/b/{other}", ("o e/x", "é%zz")),
        ("GET", "/a/x", "/a/{name}", ("x",)),
        ("GET", "/list/x", "/{any}/x", ("list",)),
        ("GET", "/api/x", "/{any}/x", ("api",)),
        ("GET", "/api/q/x", "/api/{any}/x", ("q",)),
        ("GET", "/c/1/2", "/c/{name}/{...}", ("1",)),
        ("GET", "/c/1/2/3//4", "/c/{name}/{...}", ("1",)),
        ("GET", "/c/x", "/{any}/x", ("c",)),
        ("GET", "/c/1", None, None),
        ("POST", "/c/1/2", None, None),
        ("GET", "/A/one", None, None),
        ("PUT", "/a/one", None, None),
        ("GET", "/a//", None, None),
        ("GET", "/a", None, None),
        ("GET", "/", None, None),
        ("GET", "", None, None),
        ("GET", "a/one", None, None),
        ("GET", "*", None, None),
        ("GET", "/a/one/b", None, None),
    ],
)
def test_a_request_meets_its_row(
    method: str, target: str, template: str | None, values: tuple[str, ...] | None
) -> None:
    """Literals win over placeholders, prefixes are kept, values are percent-decoded; twice the same."""
    for _ in range(2):
        match = ROUTES.match(method.encode(), target.encode())

        assert (match.route.template if match else None) == template
        assert (tuple(match.named.values()) if match else None) == values


def test_express_ignores_letter_case_in_literals_only() -> None:
    """Placeholders keep theirs."""
    match = Routes(ROWS, ignore_case=True).match(b"GET", b"/A/One")

    assert match is not None
    assert (match.value("name"), match.value("else")) == ("One", "")


def test_what_is_remembered_is_bounded() -> None:
    """Neither many targets nor long ones make it grow; what they match stays right."""
    routes = Routes(ROWS)

    for n in range(SEEN_MAX + 10):
        assert routes.match(b"GET", b"/a/%d" % n) is not None
    long = routes.match(b"GET", b"/a/" + b"n" * SEEN_TARGET_MAX)

    assert long is not None
    assert len(routes._seen) == 10


def test_a_path_of_many_segments_is_not_walked() -> None:
    """Its length costs a split and no more."""
    assert ROUTES.match(b"GET", b"/a" * (SEGMENTS_MAX + 1)) is None


def test_a_query_is_read_within_bounds() -> None:
    """First value of a name, percent and plus decoded, at most so many fields."""
    assert query(b"/x?a=1+2&a=3&b=%40c&flag&=v") == {"a": "1 2", "b": "@c", "": "v"}
    many = b"/x?" + b"&".join(b"k%d=v" % n for n in range(QUERY_FIELDS_MAX + 5))
    assert len(query(many)) == QUERY_FIELDS_MAX
    assert query(b"/x") == {}
