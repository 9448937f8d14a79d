"""Text that somebody else wrote, on a terminal: a bundle, a file or a server must not move the cursor.

What could erase a line, begin one that looks like ours, or turn letters round is shown as an escape.
"""

import re
from typing import Final

_MOVING: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028-\u202e\u2066-\u2069]")
"""Control characters, separators of lines, and the marks that turn the direction of writing."""


def visible(text: str) -> str:
    """Give text in which each of these stands as Python writes it."""
    if text.isascii() and text.isprintable():
        return text
    return _MOVING.sub(lambda found: found[0].encode("unicode_escape").decode(), text)
