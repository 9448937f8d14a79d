"""Calls and callbacks that hold a canary in every place the provider notes name, beyond the fixtures.

A call is (method, path, request, answer); a callback is a body. The instances' names are no secrets.
"""

from typing import Any, Final, NamedTuple, TypeAlias

from tests.canary.markers import CANARIES, GROUP, LID, PHONE, WAMID

Json: TypeAlias = Any
C: Final = CANARIES
JID: Final = f"{PHONE}@s.whatsapp.net"
ENGINE_ERROR: Final = f"server returned error 463 sending {C['text']} to {JID}"


class Call(NamedTuple):
    """One call of a dispatcher and the gateway's answer; None for no body."""

    method: str
    path: str
    request: Json = None
    answer: Json = None
    status: int = 200


_TZ_SENT: Final = {"success": True, "data": {"message_id": "3EB0CAFE01", "status": "sent", "chat": JID}}
_TZ_SENDS: Final[dict[str, dict[str, Json]]] = {
    "text": {"text": C["text"], "mention_jids": [f"{LID}@lid", JID], "quote_id": WAMID},
    "media": {"base64": C["media"], "caption": C["caption"], "mime_type": PHONE},
    "audio": {"audio_url": C["media_url"], "media_url": C["media_url"]},
    "sticker": {"base64": C["media"] * 40},
    "carousel": {"cards": [{"text": C["text"], "media_url": C["media_url"]}]},
    "location": {"name": C["push_name"], "address": C["text"]},
    "contact": {"contacts": [{"name": C["push_name"], "phone": PHONE, "vcard": C["vcard"]}]},
    "poll": {"question": C["text"], "options": [C["caption"], C["text"]]},
    "button": {"phone": PHONE, "text": C["text"], "buttons": [{"text": C["caption"]}]},
    "list": {"title": C["text"], "sections": [{"rows": [{"title": C["push_name"]}]}]},
    "reaction": {"message_id": WAMID, "emoji": C["text"]},
    "story": {"text": C["text"]},
    PHONE: {"text": C["text"]},
}
_TZ_CALLS: Final = [
    Call("GET", f"/ws?token={C['api_key']}&instance_id={PHONE}"),
    Call("GET", f"/api/sse/tz-1?token={C['bearer']}"),
    Call(
        "POST",
        "/instance/create",
        {"name": "tz-1", "token": C["api_key"]},
        {"success": True, "data": {"api_key": C["api_key"], "name": "tz-1", "session": C["session_blob"]}},
        201,
    ),
    Call(
        "GET",
        "/instance/list",
        None,
        {"data": [{"phone_number": PHONE, "profile_name": C["push_name"], "profile_pic": C["media_url"]}]},
    ),
    Call(
        "GET",
        "/instance/tz-1/qrcode",
        None,
        {"success": True, "data": {"status": "qrcode", "qr_code": C["media"], "code": C["qr"]}},
    ),
    Call(
        "GET",
        "/instance/tz-1/status",
        None,
        {"success": True, "data": {"status": PHONE, "phone_number": PHONE, "profile_name": C["push_name"]}},
    ),
    Call(
        "POST",
        "/instance/tz-1/connect",
        {"phone": PHONE},
        {"success": False, "error": {"message": ENGINE_ERROR, "code": C["pairing_code"]}},
        500,
    ),
    *(
        Call("POST", f"/message/tz-1/{kind}", {"to": f"+{PHONE}", **more}, _TZ_SENT)
        for kind, more in _TZ_SENDS.items()
    ),
    Call("POST", f"/message/tz-1/text/{PHONE}?x={PHONE}", {"to": PHONE}, _TZ_SENT),
    Call(
        "POST",
        "/message/tz-1/text",
        {"to": PHONE, "text": C["text"]},
        {"success": True, "data": {"message_id": f"true_{JID}_3EB0CAFE02", "status": C["text"]}},
    ),
    Call(
        "POST",
        "/api/presence/tz-1/composing",
        {"to": PHONE},
        {"success": True, "data": {"presence": C["push_name"], "chat": JID}},
    ),
    Call("PUT", f"/profile/tz-1/name/{PHONE}", {"name": C["push_name"]}, {"error": C["text"]}, 429),
]


def _turbozap(event: str, data: Json) -> Json:
    return {
        "event": event,
        "instance": "tz-1",
        "instance_id": "6f1c2f1e-0a4b-4c7d-9a51-3d2b8c7e1001",
        "timestamp": "2026-01-15T15:00:02Z",
        "phone_number": PHONE,
        "data": data,
    }


_TZ_MESSAGE: Final = {
    "message_id": "3EB0CAFE03",
    "from": f"{PHONE}:12@s.whatsapp.net",
    "to": f"{GROUP}@g.us",
    "chat": JID,
    "content": C["text"],
    "caption": C["caption"],
    "from_name": C["push_name"],
    "push_name": C["push_name"],
    "media_base64": C["media"],
    "media_url": C["media_url"],
    "timestamp": "2026-01-15T15:00:02.123456789-03:00",
}
_TZ_CALLBACKS: Final = [
    _turbozap("messages.upsert", {**_TZ_MESSAGE, "type": "text"}),
    _turbozap("messages.upsert", {**_TZ_MESSAGE, "type": PHONE, "is_group": True}),
    _turbozap("messages.upsert", {**_TZ_MESSAGE, "message_id": f"false_{JID}_3EB0CAFE04"}),
    _turbozap("send.message", {**_TZ_MESSAGE, "to": PHONE, "status": C["text"]}),
    _turbozap("message.ack", {**_TZ_MESSAGE, "status": "failed", "error": ENGINE_ERROR, "code": PHONE}),
    _turbozap("message.ack", {**_TZ_MESSAGE, "status": PHONE}),
    _turbozap("connection.update", {"status": C["text"], "phone_number": PHONE}),
    _turbozap("connection.update", {"status": "connected", "session": C["session_blob"], "phone": PHONE}),
    _turbozap("qrcode.updated", {"qr_code": C["media"], "code": C["qr"], "pairing_code": C["pairing_code"]}),
    _turbozap("new.jwt", {"jwt": C["bearer"]}),
    {**_turbozap("messages.upsert", C["text"]), "instance": "", "instance_id": "tz-uuid"},
    {**_turbozap("messages.upsert", _TZ_MESSAGE), "instance_id": f"{PHONE}\n{C['text']}"},
]

_EVO_KEY: Final = {"remoteJid": JID, "fromMe": True, "id": "3EB0CAFE11", "participant": f"{LID}@lid"}
_EVO_SENT: Final = {
    "key": _EVO_KEY,
    "pushName": C["push_name"],
    "status": C["text"],
    "message": {"conversation": C["text"], "mediaUrl": C["media_url"], "base64": C["media"]},
    "messageType": PHONE,
    "messageTimestamp": 1768489204,
    "instanceId": "db-uuid",
}
_EVO_SENDS: Final[dict[str, dict[str, Json]]] = {
    "sendText": {"text": C["text"], "quoted": {"key": _EVO_KEY, "message": C["text"]}},
    "sendMedia": {"media": C["media"], "caption": C["caption"], "fileName": C["caption"]},
    "sendWhatsAppAudio": {"audio": C["media_url"]},
    "sendReaction": {"key": {**_EVO_KEY, "remoteJid": f"{LID}@lid"}, "reaction": C["text"]},
    "sendContact": {"contact": [{"fullName": C["push_name"], "phoneNumber": PHONE}]},
    "sendStatus": {"content": C["text"]},
    f"send{PHONE}": {"text": C["text"]},
}
_EVO_CALLS: Final = [
    Call("GET", f"/socket.io/?EIO=4&transport=polling&apikey={C['api_key']}"),
    Call(
        "POST",
        "/instance/create",
        {"instanceName": "evo-1", "token": C["api_key"], "number": PHONE, "chatwootToken": C["bearer"]},
        {"hash": C["api_key"], "qrcode": {"code": C["qr"], "base64": C["media"]}, "token": C["api_key"]},
        201,
    ),
    Call(
        "GET",
        f"/instance/fetchInstances?number={PHONE}",
        None,
        [{"name": "evo-1", "ownerJid": JID, "profileName": C["push_name"], "token": C["api_key"]}],
    ),
    Call(
        "GET",
        f"/instance/connect/evo-1?number={PHONE}",
        None,
        {"pairingCode": C["pairing_code"], "code": C["qr"], "base64": C["media"], "count": 1},
    ),
    Call(
        "POST",
        "/instance/restart/evo-1",
        None,
        {"error": True, "message": f"{ENGINE_ERROR} {C['session_blob']}"},
    ),
    Call("GET", "/instance/connectionState/evo-1", None, {"instance": {"state": PHONE}}),
    Call(
        "POST", "/proxy/set/evo-1", {"host": "p", "password": C["proxy_password"]}, {"error": C["text"]}, 429
    ),
    *(
        Call("POST", f"/message/{kind}/evo-1", {"number": PHONE, **more}, _EVO_SENT, 201)
        for kind, more in _EVO_SENDS.items()
    ),
    Call(
        "POST",
        "/message/sendText/evo-1",
        {"number": f"{LID}@lid", "text": C["text"]},
        {"status": 400, "response": {"message": [{"exists": False, "jid": JID, "number": PHONE}]}},
        400,
    ),
    Call(
        "POST",
        "/message/sendText/evo-1",
        {"number": PHONE},
        {"message": C["text"], "code": 130429, "error_data": {"details": C["text"]}},
        201,
    ),
    Call("POST", "/chat/sendPresence/evo-1", {"number": PHONE, "presence": C["text"]}, {"presence": PHONE}),
    Call("POST", "/chat/markMessageAsRead/evo-1", {"readMessages": [{**_EVO_KEY, "id": WAMID}]}, {}),
]


def _evolution(event: str, data: Json) -> Json:
    return {
        "event": event,
        "instance": "evo-1",
        "data": data,
        "destination": f"https://hooks.example/{C['api_key']}?t={C['verify_token']}",
        "date_time": "2026-01-15T12:00:02.000Z",
        "sender": JID,
        "server_url": C["media_url"],
        "apikey": C["api_key"],
        "api_key": C["api_key"],
    }


_EVO_CALLBACKS: Final = [
    _evolution("messages.upsert", {**_EVO_SENT, "key": {**_EVO_KEY, "fromMe": False}}),
    _evolution("messages.upsert", {**_EVO_SENT, "key": {**_EVO_KEY, "id": WAMID, "remoteJidAlt": JID}}),
    _evolution("send.message", _EVO_SENT),
    _evolution("messages.update", {"keyId": f"true_{JID}_3EB0", "fromMe": True, "status": "READ"}),
    _evolution("messages.update", {"keyId": "3EB0CAFE12", "remoteJid": JID, "fromMe": True, "status": PHONE}),
    _evolution("connection.update", {"state": "close", "statusReason": PHONE, "wuid": JID}),
    _evolution("connection.update", {"state": "open", "wuid": JID, "profileName": C["push_name"]}),
    _evolution("qrcode.updated", {"qrcode": {"code": C["qr"], "base64": C["media"], "pairingCode": "X"}}),
    _evolution("qrcode.updated", {"message": C["text"], "statusCode": C["api_key"]}),
    _evolution("contacts.update", [{"remoteJid": JID, "pushName": C["push_name"]}]),
    {"event": "error", "data": {"error": C["text"]}, "api_key": C["api_key"], "server_url": C["media_url"]},
]

_WAHA_ID: Final = f"true_{PHONE}@c.us_3EB0CAFE21"
_WAHA_SENT: Final = {
    "id": _WAHA_ID,
    "body": C["text"],
    "from": f"{PHONE}@c.us",
    "_data": {"n": C["push_name"]},
}
_WAHA_ECHO: Final = {
    "statusCode": 500,
    "exception": {
        "message": ENGINE_ERROR,
        "name": C["text"],
        "stack": f"Error: {C['text']}\n at send({JID}, {C['api_key']})",
        "details": ENGINE_ERROR,
    },
    "request": {
        "path": "/api/sendText",
        "method": "POST",
        "body": {"chatId": f"{PHONE}@c.us", "text": C["text"], "file": {"data": C["media"]}},
        "query": {"x-api-key": C["api_key"]},
    },
}
_WAHA_CONFIG: Final = {
    "name": "waha-1",
    "status": "WORKING",
    "me": {"id": f"{PHONE}@c.us", "pushName": C["push_name"], "lid": f"{LID}@lid"},
    "config": {
        "webhooks": [{"url": C["media_url"], "hmac": {"key": C["hmac_key"]}, "customHeaders": [C["bearer"]]}],
        "proxy": {"username": "u", "password": C["proxy_password"]},
        "blob": C["session_blob"],
    },
}
_WAHA_CALLS: Final = [
    Call("GET", f"/ws?session=*&events=*&x-api-key={C['api_key']}"),
    Call("GET", f"/api/sendText?session=waha-1&phone={PHONE}&text=pedido%20{PHONE}", None, _WAHA_SENT, 201),
    Call(
        "GET", f"/api/sendText?session=waha-1&phone={PHONE}&x-api-key={C['api_key']}", None, _WAHA_ECHO, 500
    ),
    Call("POST", "/api/waha-1/auth/request-code", {"phoneNumber": PHONE}, {"code": C["pairing_code"]}, 201),
    Call("GET", "/api/waha-1/auth/qr?format=raw", None, {"value": C["qr"]}),
    Call("GET", "/api/waha-1/auth/qr", None, {"mimetype": "image/png", "data": C["media"]}),
    Call("GET", "/api/sessions/waha-1", None, _WAHA_CONFIG),
    Call("POST", "/api/sessions", {"name": "waha-1", **_WAHA_CONFIG}, _WAHA_CONFIG, 201),
    Call("POST", f"/api/waha-1/chats/{PHONE}@c.us/messages/read", {}, {}),
    Call("POST", f"/api/waha-1/chats/{PHONE}@c.us/messages/{_WAHA_ID}", {}, {"error": C["text"]}, 429),
    Call("POST", "/api/waha-1/presence", {"chatId": f"{PHONE}@c.us", "presence": C["text"]}, {}),
    *(
        Call("POST", f"/api/{kind}", {"session": "waha-1", "chatId": f"{PHONE}@c.us", **more}, answer, status)
        for kind, more, answer, status in (
            ("sendText", {"text": C["text"]}, _WAHA_SENT, 201),
            ("sendText", {"text": C["text"]}, _WAHA_ECHO, 500),
            (
                "sendText",
                {"text": C["text"]},
                {**_WAHA_SENT, "id": {"_serialized": _WAHA_ID, "id": "3EB0"}},
                201,
            ),
            (
                "sendImage",
                {"file": {"data": C["media"], "mimetype": PHONE}, "caption": C["caption"]},
                _WAHA_SENT,
                201,
            ),
            ("sendFile", {"file": {"url": C["media_url"], "mimetype": "x"}}, _WAHA_ECHO, 500),
            ("sendVoice", {"file": {"url": C["media_url"]}}, {"id": f"{PHONE}@c.us"}, 201),
            ("sendContactVcard", {"contacts": [{"vcard": C["vcard"]}]}, _WAHA_SENT, 201),
            ("reaction", {"messageId": _WAHA_ID, "reaction": C["text"]}, None, 201),
            ("sendSeen", {"messageId": _WAHA_ID}, {}, 201),
            (f"send{PHONE}", {"text": C["text"]}, {}, 201),
            (
                "sendText",
                {"session": PHONE[:3]},
                {"error": C["text"], "session": "waha-1", "status": C["text"]},
                422,
            ),
        )
    ),
]


def _waha(event: str, payload: Json) -> Json:
    return {
        "id": f"evt_{PHONE}",
        "timestamp": 1768489205120,
        "event": event,
        "session": "waha-1",
        "metadata": {"user": C["push_name"], "token": C["bearer"]},
        "me": {"id": f"{PHONE}@c.us", "pushName": C["push_name"], "reachoutTimelock": {"isActive": True}},
        "payload": payload,
        "engine": "GOWS",
    }


_WAHA_MESSAGE: Final = {
    "id": f"false_{PHONE}@c.us_3EB0CAFE22",
    "timestamp": 1768489204,
    "from": f"{PHONE}@c.us",
    "to": f"{LID}@lid",
    "participant": f"{PHONE}@c.us",
    "fromMe": False,
    "body": C["text"],
    "media": {"url": C["media_url"], "mimetype": "image/jpeg", "filename": C["caption"]},
    "vCards": [C["vcard"]],
    "_data": {"notifyName": C["push_name"], "type": PHONE, "mediaKey": C["media"]},
}
_WAHA_CALLBACKS: Final = [
    _waha("message", _WAHA_MESSAGE),
    _waha("message.any", {**_WAHA_MESSAGE, "id": f"true_{GROUP}@g.us_3EB0CAFE23_{PHONE}@c.us"}),
    _waha("message.any", {**_WAHA_MESSAGE, "id": f"{PHONE}@c.us"}),
    _waha("message.reaction", {**_WAHA_MESSAGE, "reaction": {"text": C["text"], "messageId": _WAHA_ID}}),
    _waha("message.ack", {"id": _WAHA_ID, "fromMe": True, "ack": -1, "error": {"code": C["text"]}}),
    _waha(
        "message.ack", {"id": _WAHA_ID, "fromMe": True, "ack": -1, "error": {"code": PHONE, "reason": PHONE}}
    ),
    _waha("message.ack", {"id": _WAHA_ID, "fromMe": True, "ack": int(PHONE)}),
    _waha("session.status", {"name": "waha-1", "status": PHONE}),
    _waha("session.status", {"name": "waha-1", "status": "SCAN_QR_CODE", "qr": C["qr"]}),
    _waha("event.response", {"contact": C["vcard"], "pairing": C["pairing_code"]}),
]

_META_ERROR: Final = {
    "error": {
        "message": f"(#131056) {C['text']} {PHONE}",
        "type": C["text"],
        "code": 131056,
        "error_data": {"details": f"{C['text']} to {PHONE}"},
        "fbtrace_id": C["session_blob"],
    }
}
_CLOUD_SENT: Final = {
    "messaging_product": "whatsapp",
    "contacts": [{"input": f"+{PHONE}", "wa_id": PHONE}],
    "messages": [{"id": WAMID, "message_status": C["text"]}],
}
_NUMBER: Final = "106540352242922"
_CLOUD_CALLS: Final = [
    *(
        Call("POST", f"/v21.0/{_NUMBER}/messages", {"to": f"+{PHONE}", "type": kind, **more}, answer, status)
        for kind, more, answer, status in (
            (
                "text",
                {"text": {"body": C["text"]}, "biz_opaque_callback_data": C["session_blob"]},
                _CLOUD_SENT,
                200,
            ),
            ("image", {"image": {"link": C["media_url"], "caption": C["caption"]}}, _CLOUD_SENT, 200),
            ("contacts", {"contacts": [{"name": {"formatted_name": C["push_name"]}}]}, _CLOUD_SENT, 200),
            ("reaction", {"reaction": {"message_id": WAMID, "emoji": C["text"]}}, _META_ERROR, 400),
            (PHONE, {"text": {"body": C["text"]}}, _META_ERROR, 429),
            ("text", {"recipient_type": "group", "to": f"Y2FwaV{GROUP}"}, _CLOUD_SENT, 200),
            ("text", {}, {"error": {"code": C["text"], "message": C["text"]}}, 400),
            ("text", {}, {"error": {"code": int(PHONE), "message": C["text"]}}, 400),
        )
    ),
    Call("POST", f"/v21.0/{_NUMBER}/messages", {"status": "read", "message_id": WAMID}, {"success": True}),
    Call("POST", f"/v21.0/{_NUMBER}/register", {"pin": C["pairing_code"]}, _META_ERROR, 500),
    Call(
        "GET",
        f"/v21.0/{_NUMBER}?fields=display_phone_number&access_token={C['bearer']}",
        None,
        {"display_phone_number": PHONE, "verified_name": C["push_name"], "status": PHONE},
    ),
    Call("GET", f"/v21.0/{_NUMBER}/{PHONE}?access_token={C['bearer']}", None, _META_ERROR, 400),
]


def _cloud(value: Json, field: str = "messages") -> Json:
    metadata = {"display_phone_number": PHONE, "phone_number_id": _NUMBER}
    change = {"field": field, "value": {"messaging_product": "whatsapp", "metadata": metadata, **value}}
    return {
        "object": "whatsapp_business_account",
        "entry": [{"id": "102290129340398", "time": 1768489204, "changes": [change]}],
    }


_CLOUD_STATUS: Final = {
    "id": WAMID,
    "status": "failed",
    "timestamp": "1768489204",
    "recipient_id": PHONE,
    "recipient_participant_id": PHONE,
    "biz_opaque_callback_data": C["session_blob"],
    "errors": [{"code": 131048, "title": C["text"], "message": C["text"], "href": C["media_url"]}],
}
_CLOUD_MESSAGE: Final = {
    "from": PHONE,
    "id": WAMID,
    "timestamp": "1768489204",
    "type": "image",
    "image": {"id": "1", "caption": C["caption"], "url": C["media_url"]},
    "text": {"body": C["text"]},
    "contacts": [{"vcard": C["vcard"]}],
}
_CLOUD_CALLBACKS: Final = [
    _cloud(
        {"statuses": [_CLOUD_STATUS, {**_CLOUD_STATUS, "status": PHONE}, {**_CLOUD_STATUS, "status": "read"}]}
    ),
    _cloud({"statuses": [{**_CLOUD_STATUS, "errors": [{"code": C["text"]}]}]}),
    _cloud(
        {
            "messages": [_CLOUD_MESSAGE, {**_CLOUD_MESSAGE, "type": PHONE, "group_id": f"Y2FwaV{GROUP}"}],
            "contacts": [{"profile": {"name": C["push_name"]}, "wa_id": PHONE}],
        }
    ),
    _cloud({"errors": [{"code": 130429, "title": C["text"]}, {"code": PHONE}]}),
    _cloud({"message_echoes": [{**_CLOUD_MESSAGE, "to": PHONE}]}, "smb_message_echoes"),
    _cloud({"event": "ACCOUNT_RESTRICTION", "phone_number": PHONE}, "account_update"),
    _cloud({"event": PHONE, "display_phone_number": PHONE}, "phone_number_quality_update"),
    _cloud({"event": PHONE}, "account_update"),
    _cloud({}, PHONE),
]

CALLS: Final = {
    "turbozap": _TZ_CALLS,
    "evolution": _EVO_CALLS,
    "waha": _WAHA_CALLS,
    "cloud_api": _CLOUD_CALLS,
}
CALLBACKS: Final = {
    "turbozap": _TZ_CALLBACKS,
    "evolution": _EVO_CALLBACKS,
    "waha": _WAHA_CALLBACKS,
    "cloud_api": _CLOUD_CALLBACKS,
}
HOSTILE_NAMES: Final = (
    PHONE,
    f"tel.{PHONE}",
    f"{PHONE[:5]}-{PHONE[5:9]}-{PHONE[9:]}",
    WAMID,
    C["api_key"],
    C["text"],
)
"""Event names of a gateway that does not mean well, or forgot what a name is."""

NAMED: Final = {
    "turbozap": lambda name: _turbozap(name, {"status": name}),
    "evolution": lambda name: _evolution(name, {"state": name}),
    "waha": lambda name: _waha(name, {"status": name}),
    "cloud_api": lambda name: _cloud({"event": name}, name),
}
"""A callback of any event name."""
