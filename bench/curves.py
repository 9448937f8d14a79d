"""One growth curve as SVG, small, readable on light and dark pages."""

import math
from collections.abc import Sequence
from html import escape
from typing import Final

WIDTH, HEIGHT = 640, 280
LEFT, RIGHT, TOP, BASE = 64, 616, 32, 228
QUARTERS: Final = (0.0, 0.25, 0.5, 0.75, 1.0)
_STYLE: Final = """
text{font:12px system-ui,sans-serif;fill:#24292f}
.grid{stroke:#8c959f;stroke-width:.5;opacity:.5}
.line{stroke:#0969da;fill:none;stroke-width:2}
circle{fill:#0969da}
@media (prefers-color-scheme:dark){text{fill:#e6edf3}.line{stroke:#58a6ff}circle{fill:#58a6ff}}
"""


def plot(title: str, across: str, points: Sequence[tuple[float, float]]) -> str:
    """Draw points over a logarithmic x; y begins at 0, so that flat looks flat.

    Args:
        title: what y is, with its unit.
        across: what x is.
        points: x above 0, growing.
    """
    first, last = math.log10(points[0][0]), math.log10(points[-1][0])
    top = _nice(max(y for _, y in points))

    def place(x: float, y: float) -> tuple[int, int]:
        share = (math.log10(x) - first) / ((last - first) or 1.0)
        return round(LEFT + share * (RIGHT - LEFT)), round(BASE - y / top * (BASE - TOP))

    rules = [(share * top, place(points[0][0], share * top)[1]) for share in QUARTERS]
    at = [place(x, y) for x, y in points]
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
        f"<title>{escape(title)}</title><style>{_STYLE}</style>",
        f'<text x="{LEFT}" y="16">{escape(title)}</text>',
        f'<text x="{RIGHT}" y="{HEIGHT - 8}" text-anchor="end">{escape(across)}</text>',
        *(f'<path class="grid" d="M{LEFT} {y}H{RIGHT}"/>' for _, y in rules),
        *(f'<text x="{LEFT - 6}" y="{y + 4}" text-anchor="end">{value:g}</text>' for value, y in rules),
        *(
            f'<text x="{place(x, 0)[0]}" y="{BASE + 18}" text-anchor="middle">{_short(x)}</text>'
            for x, _ in points
        ),
        f'<path class="line" d="M{"L".join(f"{x} {y}" for x, y in at)}"/>',
        *(f'<circle cx="{x}" cy="{y}" r="3"/>' for x, y in at),
    ]
    return "\n".join([*parts, "</svg>\n"])


def _nice(value: float) -> float:
    """Give the next of 1, 2, 4, 6, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value or 1.0))
    return next(step * power for step in (1.0, 2.0, 4.0, 6.0, 8.0, 10.0) if step * power >= value)


def _short(value: float) -> str:
    for unit, size in (("M", 1e6), ("k", 1e3)):
        if value >= size:
            return f"{value / size:g}{unit}"
    return f"{value:g}"
