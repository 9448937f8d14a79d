"""A day drawn as SVG, small, the same bytes every time, readable on light and dark pages."""

from collections.abc import Sequence
from typing import Final

from docs.simulation.days import DAY, FAULT_SINCE, FAULT_UNTIL, HOUR, MIDNIGHT
from docs.simulation.looking import Look, Rest, Seen
from domain.words import Millis

WIDTH, HEIGHT = 860, 280
LEFT, RIGHT, TOP, BASE = 40, 836, 22, 188
STRIPS: Final = (214, 232)
STRIP = 12
STEP: Final = 3
"""Minutes a point of a line; a finer one does not show at this width."""

_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#24292f}
.grid{stroke:#8c959f;stroke-width:.5;opacity:.5}
.fault{fill:#cf222e;opacity:.12}
.ours{stroke:#0969da;fill:none;stroke-width:2}
.reference{stroke:#bc4c00;fill:none;stroke-width:1.2;stroke-dasharray:4 2}
.ours-rest{fill:#0969da}.reference-rest{fill:#bc4c00}
@media (prefers-color-scheme:dark){
text{fill:#e6edf3}.ours{stroke:#58a6ff}.ours-rest{fill:#58a6ff}
.reference{stroke:#f0883e}.reference-rest{fill:#f0883e}.fault{fill:#ff7b72;opacity:.18}}
"""

_KEY: Final = "score: solid the sidecar, dashed the reference"
_FAULT_KEY: Final = "; shaded: the fault"
_REST_KEY: Final = "bars: in cooldown, above the sidecar, below the reference"


def plot(title: str, ours: Seen, reference: Seen, *, faulty: bool) -> str:
    """Draw score and cooldowns of a day, ours and the reference's."""
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{title}</title><style>{_STYLE}</style>",
    ]
    if faulty:
        since, until = _x(FAULT_SINCE), _x(FAULT_UNTIL)
        parts.append(
            f'<rect class="fault" x="{since}" y="{TOP}" width="{until - since}" height="{BASE - TOP}"/>'
        )
    for score in (0, 30, 50, 100):
        parts.append(f'<path class="grid" d="M{LEFT} {_y(score)}H{RIGHT}"/>')
        parts.append(f'<text x="{LEFT - 6}" y="{_y(score) + 4}" text-anchor="end">{score}</text>')
    for hour in range(0, 25, 3):
        x = _x(MIDNIGHT + hour * HOUR)
        parts.append(f'<text x="{x}" y="{HEIGHT - 6}" text-anchor="middle">{hour:02}:00</text>')
    for name, seen in (("reference", reference), ("ours", ours)):
        parts.append(f'<path class="{name}" d="{_line(seen.looks)}"/>')
    for name, seen, y in (("ours", ours, STRIPS[0]), ("reference", reference, STRIPS[1])):
        parts += [_rest(name, rest, y) for rest in seen.rests]
    parts += [
        f'<text x="{LEFT}" y="{TOP - 8}">{_KEY}{_FAULT_KEY if faulty else ""}</text>',
        f'<text x="{RIGHT}" y="{STRIPS[0] - 4}" text-anchor="end">{_REST_KEY}</text>',
        "</svg>\n",
    ]
    return "\n".join(parts)


def _line(looks: Sequence[Look]) -> str:
    """Give the steps of the score; a point where it changed."""
    path, last = "", None
    for look in looks[STEP - 1 :: STEP]:
        if look.score != last:
            x, y = _x(look.at), _y(look.score)
            path += f"M{LEFT} {y}H{x}" if last is None else f"H{x}V{y}"
            last = look.score
    return f"{path}H{RIGHT}"


def _rest(name: str, rest: Rest, y: int) -> str:
    x = _x(rest.since)
    width = max(1, _x(rest.until) - x)
    return f'<rect class="{name}-rest" x="{x}" y="{y}" width="{width}" height="{STRIP}"/>'


def _x(at: Millis) -> int:
    return LEFT + (at - MIDNIGHT) * (RIGHT - LEFT) // DAY


def _y(score: int) -> int:
    return BASE - score * (BASE - TOP) // 100
