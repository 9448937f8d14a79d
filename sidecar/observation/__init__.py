"""Bounded copies of bodies as they stream by, content coding removed, long JSON strings left out.

    payload chunks -> codings (gzip, deflate, br, zstd) -> long_strings -> at most `copy_max` bytes

`BodyTap` is what the wire feeds. It never raises, whatever comes. `TapCopier` makes taps, and needs
none for the usual body: one small piece without coding is kept by reference and given back as it is.
"""

from sidecar.observation.tap import COPY_FIELDS, BodyTap, TapCopier, Unseen

__all__ = ["COPY_FIELDS", "BodyTap", "TapCopier", "Unseen"]
