"""What identifies a fact that has no message id: the forms of `Event.basis` (design section 3, signal id).

Each form has its own prefix, so that a time can never be taken for an event id.
"""

import hashlib

QR_BYTES_MAX = 64 * 1024
"""More than any QR code or its picture holds; the rest does not enter the hash."""


def of_qr(code: str | bytes | None) -> str | None:
    """Identify a QR code by its SHA-256; the code itself is a secret and goes no further."""
    if not code:
        return None
    data = code.encode("utf-8", "surrogatepass") if isinstance(code, str) else code
    return "qr:" + hashlib.sha256(data[:QR_BYTES_MAX]).hexdigest()


def of_event(event_id: str | None) -> str | None:
    """Identify a callback by the id its provider gave it; hashed, for nothing bounds what it holds."""
    return (
        "event:" + hashlib.sha256(event_id.encode("utf-8", "surrogatepass")).hexdigest() if event_id else None
    )


def of_time(text: str | int | None) -> str | None:
    """Identify a fact by the provider's time of it, in the provider's own precision."""
    return f"time:{text}" if text else None


def of_body(data: bytes) -> str:
    """Identify a callback by its raw body, where its sender stamps a time into it."""
    return "body:" + hashlib.sha256(data).hexdigest()
