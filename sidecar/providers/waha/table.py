"""WAHA's calls, by method and path (notes 3.1)."""

from typing import Final

from sidecar.providers import media
from sidecar.providers.contract import Action
from sidecar.providers.routes import Routes, Row, any_method

_PARTS: Final = (
    "auth", "calls", "channels", "chats", "contacts", "events", "groups", "labels", "lids", "media",
    "presence", "profile", "status",
)  # fmt: skip
"""Parts of a session's own routes: any of their calls may meet a rate limit (R3)."""

ROUTES: Final = Routes(
    (
        *any_method(*(f"/api/{{session}}/{part}" for part in _PARTS)),
        Row("POST", "/api/sendText", Action.SEND_TEXT, media.TEXT),
        Row("GET", "/api/sendText", Action.SEND_TEXT, media.TEXT),
        Row("POST", "/api/sendImage", Action.SEND_MEDIA, media.IMAGE),
        Row("POST", "/api/sendFile", Action.SEND_MEDIA),
        Row("POST", "/api/sendVideo", Action.SEND_MEDIA, media.VIDEO),
        Row("POST", "/api/sendVoice", Action.SEND_AUDIO, media.AUDIO),
        Row("PUT", "/api/reaction", Action.SEND_REACTION, media.REACTION),
        Row("POST", "/api/reaction", Action.SEND_REACTION, media.REACTION),  # the docs' feature table
        Row("POST", "/api/sendPoll", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/sendLocation", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/sendContactVcard", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/sendLinkPreview", Action.SEND_TEXT, media.TEXT),
        Row("POST", "/api/send/link-custom-preview", Action.SEND_TEXT, media.TEXT),
        Row("POST", "/api/sendButtons", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/sendList", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/forwardMessage", Action.SEND_TEXT, media.OTHER),
        Row("POST", "/api/reply", Action.SEND_TEXT, media.TEXT),
        Row("POST", "/api/startTyping", Action.SET_PRESENCE, presence="typing"),
        Row("POST", "/api/stopTyping", Action.SET_PRESENCE, presence="paused"),
        Row("POST", "/api/{session}/presence", Action.SET_PRESENCE),
        Row("POST", "/api/sendSeen", Action.MARK_AS_READ),
        Row("POST", "/api/{session}/chats/{chatId}/messages/read", Action.MARK_AS_READ),
        Row("POST", "/api/sessions/{session}/start", Action.CONNECT),
        Row("POST", "/api/sessions/{session}/restart", Action.CONNECT),
        Row("GET", "/api/{session}/auth/qr", Action.GET_QRCODE),
        Row("GET", "/api/sessions/{session}", Action.GET_STATUS),
        Row("POST", "/api/sessions/{session}/logout", Action.LOGOUT),
        Row("GET", "/api/sessions", Action.OTHER),
        Row("POST", "/api/sessions", Action.OTHER),
        Row("PUT", "/api/sessions/{session}", Action.OTHER),
        Row("DELETE", "/api/sessions/{session}", Action.OTHER),
        Row("POST", "/api/{kind}", Action.OTHER),
        *any_method(
            "/api/sessions/{session}/{...}", *(f"/api/{{session}}/{part}/{{...}}" for part in _PARTS)
        ),
    ),
    ignore_case=True,  # Express; `/api/sendtext` is seen in issue 1644
)
