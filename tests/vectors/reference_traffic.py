"""Provider webhook and dispatch outcome to events, as the reference does (rules.md sections 4 and 5).

The product's readers follow the providers' own fixtures instead.
"""

import re

from tests.vectors.reference_health import signal_of
from tests.vectors.wire import ABSENT, Json, iso, js_date, normal, truthy

_STATUS = {
    "sent": "MESSAGE_SENT",
    "delivered": "MESSAGE_DELIVERED",
    "read": "MESSAGE_READ",
    "failed": "MESSAGE_FAILED",
}
_CONNECTION = {
    "connected": "CONNECTION_CONNECTED",
    "disconnected": "CONNECTION_DISCONNECTED",
    "qrcode": "CONNECTION_QRCODE",
    "error": "CONNECTION_ERROR",
}
_READING_DATA = (
    "connection.update", "messages.upsert", "message.received", "message.sent", "send-message",
    "messages.update",
)  # fmt: skip
_WITHOUT_DATA = {"qrcode.updated": "CONNECTION_QRCODE", "groups.upsert": "GROUP_JOINED"}
_PROVIDER_NAME = re.compile(r"[A-Za-z0-9_-]+")


def webhook_events(payload: Json, clock: str) -> Json:
    """Turn a TurboZap payload into events, or `{"error": "TypeError"}` where the reference raises (Q22)."""
    value = payload.get("data_value")
    data = value if value is not None else payload.get("data")
    kind = payload.get("event")
    if kind in _READING_DATA and data is None:
        return {"error": "TypeError"}
    data = data if isinstance(data, dict) else {}
    made = _made(kind, payload, data, clock)
    return {"events": [] if made is None else [_compact(made)]}


def _made(kind: Json, payload: Json, data: Json, clock: str) -> Json:
    if kind in ("messages.upsert", "message.received"):
        return _upserted(payload, data, clock)
    if kind in ("message.sent", "send-message"):
        metadata = {"messageType": data.get("type", ABSENT), "status": data.get("status", ABSENT)}
        return _event("MESSAGE_SENT", payload, _either(data, payload), data, metadata, data.get("to", ABSENT))
    status = data.get("status") if isinstance(data.get("status"), str) else None
    if kind == "messages.update" and status in _STATUS:
        return _event(_STATUS[status], payload, _either(data, payload), data, {"status": status})
    if kind == "connection.update" and status in _CONNECTION:
        metadata = {
            "status": status,
            "phoneNumber": data.get("phone_number", ABSENT),
            "profileName": data.get("profile_name", ABSENT),
        }
        return _event(_CONNECTION[status], payload, payload.get("timestamp", ABSENT), {}, metadata)
    bare = _WITHOUT_DATA.get(kind) if isinstance(kind, str) else None
    return bare and _event(bare, payload, payload.get("timestamp", ABSENT), {}, {})


def _upserted(payload: Json, data: Json, clock: str) -> Json:
    if truthy(data.get("is_group")):
        return None
    at = _either(data, payload)
    at = at if truthy(at) else clock
    own = truthy(data.get("fromMe"))
    metadata: Json = {"messageType": data.get("type", ABSENT)}
    if data.get("type") == "text" and isinstance(data.get("content"), str):
        metadata["text"] = data["content"]
    for key, name in (
        ("media_url", "mediaUrl"),
        ("media_base64", "mediaBase64"),
        ("media_mime_type", "mediaMimeType"),
        ("caption", "caption"),
    ):
        if isinstance(data.get(key), str):
            metadata[name] = data[key]
    if own:
        metadata |= {"fromMe": True, "sentBy": "INSTANCE"}
    else:
        pushed = data.get("push_name")
        metadata["pushName"] = data.get("from_name", ABSENT) if pushed is None else pushed
    event = _event(
        "MESSAGE_SENT" if own else "MESSAGE_RECEIVED",
        payload,
        at,
        data,
        metadata,
        data.get("to", ABSENT) if own else data.get("from", ABSENT),
    )
    if not truthy(event["instanceId"]):
        named = payload.get("instance_name")
        event["instanceId"] = named if truthy(named) else ""
    return event


def _either(data: Json, payload: Json) -> Json:
    own = data.get("timestamp", ABSENT)
    return own if truthy(own) else payload.get("timestamp", ABSENT)


def _event(  # one event has this many parts
    kind: str, payload: Json, at: Json, data: Json, metadata: Json, remote_jid: Json = ABSENT
) -> Json:
    return {
        "type": kind,
        "source": "WEBHOOK",
        "instanceId": payload["instance_id"]
        if truthy(payload.get("instance_id"))
        else payload.get("instance", ABSENT),
        "occurredAt": None if at is ABSENT else iso(js_date(at)),
        "messageId": data.get("message_id", ABSENT),
        "remoteJid": remote_jid,
        "isGroup": False,
        "metadata": _compact(metadata),
    }


def _compact(event: Json) -> Json:
    return {key: value for key, value in event.items() if value is not ABSENT}


def dispatch_outcome(case: Json) -> Json:
    """Turn one dispatcher action and its provider outcome into events and their signals."""
    action, outcome = case["action"], case.get("providerOutcome") or {}
    capabilities = case.get("providerCapabilities") or ()
    method, capability, unsupported = _METHODS[action["type"]]
    name = (case.get("instanceDisplayName") or "").strip()
    provider_name = name if _PROVIDER_NAME.fullmatch(name) else action["instanceId"]
    second = case["adapter"] == "message"
    if capability and capability not in capabilities:
        error = f"Provider does not support {unsupported}"
        events = _dispatched(case, {"success": False, "error": error}) if second else None
        for event in events or ():
            event["metadata"] = {key: event["metadata"][key] for key in ("messageType", "error")}
        return _outcome(success=False, error=error, calls=[], events=events)
    calls = [{"method": method, "instanceId": provider_name}]
    if "throws" in outcome:
        return {"throws": outcome["throws"], "providerCalls": calls}
    answers = action["type"] not in _WITHOUT_RESULT and outcome.get("result")
    result: Json = outcome["result"] if answers else {"success": True}
    error = result.get("error")
    if not result["success"] and error is None and not second:
        error = "Dispatch failed"
    return _outcome(success=result["success"], error=error, calls=calls, events=_dispatched(case, result))


_METHODS = {
    "SEND_TEXT": ("sendText", None, ""),
    "SEND_REACTION": ("sendReaction", "sendReaction", "reactions"),
    "SET_PRESENCE": ("setPresence", "setPresence", "presence"),
    "MARK_AS_READ": ("markAsRead", "markAsRead", "markAsRead"),
    "TEXT": ("sendText", None, ""),
    "IMAGE": ("sendMedia", None, ""),
    "STICKER": ("sendMedia", None, ""),
    "AUDIO": ("sendAudio", "sendAudio", "audio"),
    "REACTION": ("sendReaction", "sendReaction", "reactions"),
}
_WITHOUT_RESULT = ("SET_PRESENCE", "MARK_AS_READ")
"""Actions whose provider call answers nothing: they succeed or throw."""

_SUCCESS = {"SEND_REACTION": "REACTION_SENT", "REACTION": "REACTION_SENT", "SET_PRESENCE": "PRESENCE_SET"}


def _dispatched(case: Json, result: Json) -> Json:
    action, clock = case["action"], normal(case["now"])
    kind = action["type"]
    second = case["adapter"] == "message"
    metadata = _message_metadata(action) if second else _action_metadata(action)
    event = {
        "type": "MESSAGE_READ" if kind == "MARK_AS_READ" else _SUCCESS.get(kind, "MESSAGE_SENT"),
        "source": "DISPATCH",
        "instanceId": action["instanceId"],
        "occurredAt": clock,
        "messageId": action["messageId"] if kind == "MARK_AS_READ" else result.get("messageId", ABSENT),
        "remoteJid": action.get("to", ABSENT),
        "isGroup": False,
        "metadata": metadata,
    }
    if result["success"]:
        if not second and result.get("timestamp"):
            event["occurredAt"] = iso(js_date(result["timestamp"]))
        return [_compact(event)]
    told = {key: result[key] for key in ("error", "errorCode") if result.get(key)}
    failed = {**event, "type": "MESSAGE_FAILED", "metadata": {**metadata, **told}}
    events = [_compact(failed)]
    if result.get("errorCode") == "HTTP_429":
        limited = {"errorCode": "HTTP_429"} if second else {**metadata, "errorCode": "HTTP_429"}
        events.append(_compact({**event, "type": "RATE_LIMIT_HIT", "metadata": limited}))
    return events


def _action_metadata(action: Json) -> Json:
    match action["type"]:
        case "SEND_TEXT":
            return {"messageType": "text"}
        case "SEND_REACTION":
            return {"emoji": action["emoji"], "messageId": action["messageId"]}
        case "SET_PRESENCE":
            return {"presence": action["presence"]}
    return {}


def _message_metadata(action: Json) -> Json:
    kept = {key: action[key] for key in ("text", "caption", "ptt", "emoji") if key in action}
    return {"messageType": action["type"].lower(), **kept}


def _outcome(*, success: bool, error: Json, calls: Json, events: Json) -> Json:
    signals = None
    if events is not None:
        made = [signal_of(event) for event in events]
        signals = [{key: signal[key] for key in ("type", "severity", "source")} for signal in made]
    return {
        "success": success,
        "error": error,
        "providerCalls": calls,
        "producedEvents": events,
        "signals": signals,
    }
