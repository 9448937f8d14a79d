"""Coverage-guided fuzzing of the wire: `python -m tests.sidecar.wire.fuzz_wire -max_total_time=60`.

Options are libFuzzer's. It starts from the attack corpus and ends at the first input that breaks a rule of
`fuzzed`, which it writes to a file and shows.
"""

import asyncio
import logging
import sys
import tempfile
from pathlib import Path

import atheris

with atheris.instrument_imports(include=["sidecar.wire"]):
    from tests.sidecar.wire.corpus import CORPUS, read_case
    from tests.sidecar.wire.fuzzed import check

LENGTH_MAX = 4096
WORDS = (
    "GET / HTTP/1.1", "POST / HTTP/1.0", "HTTP/1.1 200 OK", "HTTP/1.1 101 S", "HTTP/1.1 100 C", "Host: h",
    "HTTP/1.1 204 N", "HTTP/1.0 200 ", "Content-Length: 3", "Transfer-Encoding: chunked", "Upgrade: x",
    "Connection: upgrade", "Connection: close", "Expect: 100-continue", "TE: trailers", "http://h/", ";a=b",
    "3\\x0d\\x0aabc\\x0d\\x0a", "0\\x0d\\x0a", "\\x0d\\x0a", "\\x0d\\x0a\\x0d\\x0a", "X: y",
)  # fmt: skip
"""What HTTP is made of, in libFuzzer's notation."""


def seed(folder: Path) -> None:
    """Write the attack corpus as fuzzing inputs."""
    for side, first in (("requests", b"\x01"), ("answers", b"\x00")):
        for path in sorted((CORPUS / side).glob("*.txt")):
            data = read_case(path).data
            if len(data) < LENGTH_MAX:
                (folder / f"{side}-{path.stem}").write_bytes(first + data)


def main() -> None:
    """Fuzz until an input breaks a rule, or the options end it."""
    logging.disable(logging.CRITICAL)
    loop = asyncio.new_event_loop()
    asyncio.set_event_loop(loop)

    def one(data: bytes) -> None:
        loop.run_until_complete(check(data))

    with tempfile.TemporaryDirectory(prefix="sidecar-fuzz-") as name:
        seeds, words = Path(name, "seeds"), Path(name, "words")
        seeds.mkdir()
        seed(seeds)
        words.write_text("".join(f'"{word}"\n' for word in WORDS))
        atheris.Setup([*sys.argv, f"-max_len={LENGTH_MAX}", f"-dict={words}", str(seeds)], one)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
