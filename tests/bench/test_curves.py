"""Growth curves show what was measured."""

import xml.etree.ElementTree as ET

from bench.curves import BASE, LEFT, RIGHT, TOP, plot

SVG = "{http://www.w3.org/2000/svg}"


def test_a_curve_spans_the_plot_and_its_zero_is_the_base_line() -> None:
    """The first size stands left, the last right, the largest value below the top, flat lies flat."""
    drawn = ET.fromstring(plot("Cost, us", "facts & more", [(100, 5.0), (1_000, 5.0), (100_000, 10.0)]))
    places = [(int(one.get("cx", "")), int(one.get("cy", ""))) for one in drawn.iter(f"{SVG}circle")]

    assert places == [
        (LEFT, (TOP + BASE) // 2),
        (LEFT + (RIGHT - LEFT) // 3, (TOP + BASE) // 2),
        (RIGHT, TOP),
    ]
    assert {"100", "1k", "100k", "10", "facts & more"} <= {one.text for one in drawn.iter(f"{SVG}text")}
