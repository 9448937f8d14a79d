"""`python -m bench [SECTION ...]`: run the named sections, all of them without a name."""

import argparse
import importlib
import tempfile
from pathlib import Path
from typing import Final

from rich.console import Console

from bench.machine import describe
from bench.report import Setting, markdown, show

SECTIONS: Final = {
    "p1": ("bench.p1_throughput", "P1 throughput at 16 connections, one core"),
    "p2": ("bench.p2_latency", "P2 latency at 1 connection"),
    "p3": ("bench.p3_recorder", "P3 recorder, everything on"),
    "p4": ("bench.p4_window", "P4 cost of a signal against the window's content"),
    "p5": ("bench.p5_timeline", "P5 timeline page against the size of the store"),
    "p6": ("bench.p6_memory", "P6 memory"),
    "p7": ("bench.p7_start", "P7 start"),
    "growth": ("bench.growth", "Growth"),
}


def main() -> int:
    """Run; 0 when every aim that was measured was met."""
    parser = argparse.ArgumentParser(prog="python -m bench", description=__doc__)
    parser.add_argument("sections", nargs="*", metavar="SECTION", help=", ".join(SECTIONS))
    parser.add_argument("--quick", action="store_true", help="small and short, to try the harness")
    parser.add_argument("--seconds", type=float, default=5.0, help="length of one load")
    parser.add_argument("--rounds", type=int, default=3, help="how often contenders take turns")
    parser.add_argument("--curves", type=Path, metavar="DIR", help="draw growth curves there")
    parser.add_argument("--markdown", type=Path, metavar="FILE", help="write the tables there, too")
    options = parser.parse_args()
    unknown = [name for name in options.sections if name not in SECTIONS]
    if unknown:
        parser.error(f"no section is called {', '.join(unknown)}")
    console = Console(width=120)
    for line in describe():
        console.print(line, highlight=False, soft_wrap=True)
    missed = 0
    page = [f"- {line}" for line in describe()]
    for name in options.sections or SECTIONS:
        module, title = SECTIONS[name]
        with tempfile.TemporaryDirectory(prefix=f"sidecar-bench-{name}-") as folder:
            setting = Setting(Path(folder), options.quick, options.seconds, options.rounds, options.curves)
            rows = importlib.import_module(module).measure(setting)
        show(console, title, rows)
        page += ["", markdown(title, rows)]
        missed += sum(row.met is False for row in rows)
    if options.markdown is not None:
        options.markdown.write_text("\n".join(page), "utf-8")
    console.print(f"{missed} aims missed" if missed else "no aim missed", highlight=False)
    return 1 if missed else 0


if __name__ == "__main__":
    raise SystemExit(main())
