"""Normal forms of what a message is: text, image, video, audio, document, sticker, reaction, other."""

from typing import Final

TEXT: Final = "text"
IMAGE: Final = "image"
VIDEO: Final = "video"
AUDIO: Final = "audio"
DOCUMENT: Final = "document"
STICKER: Final = "sticker"
REACTION: Final = "reaction"
OTHER: Final = "other"

_BY_MAIN_TYPE: Final = {
    "image": IMAGE,
    "video": VIDEO,
    "audio": AUDIO,
    "application": DOCUMENT,
    "text": DOCUMENT,
}


def of_mime(mime: str | None) -> str:
    """Tell a file's kind by its media type (RFC 9110 section 8.3.1); without one it is `other`."""
    if not mime:
        return OTHER
    return _BY_MAIN_TYPE.get(mime.partition("/")[0].strip().lower(), DOCUMENT if "/" in mime else OTHER)
