"""A worker that journals as fast as it can and tells which answers were released; made to be killed.

python worker_process.py DATA_DIR MAX_BYTES [FILE_SIZE_MAX]
"""

import asyncio
import itertools
import os
import resource
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[3]))

from sidecar.journal.writer import JournalWriter
from tests.sidecar.journal.journaling import facts


async def work(data_dir: Path, max_bytes: int) -> None:
    """Append until killed or until stdin closes."""
    writer = JournalWriter(data_dir, 0, max_bytes=max_bytes, sync_ms=20)
    writer.start()
    over = asyncio.Event()
    asyncio.get_running_loop().add_reader(0, over.set)
    for number in itertools.count():
        for one in range(3):
            exchange = number * 3 + one
            line = f"x-{exchange}\n".encode()
            writer.append(facts(exchange, count=1 + exchange % 3), lambda line=line: tell(line))
        await asyncio.sleep(0)
        if over.is_set():
            break
    await writer.close()


def tell(line: bytes) -> None:
    """Release: the answer is gone once this is written."""
    os.write(1, line)


if __name__ == "__main__":
    if len(sys.argv) > 3:
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[3]), int(sys.argv[3])))
    asyncio.run(work(Path(sys.argv[1]), int(sys.argv[2])))
