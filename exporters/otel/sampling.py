"""Which exchanges are traced: the SDK's samplers, chosen by OTEL_TRACES_SAMPLER and its argument."""

from collections.abc import Callable
from typing import Final

from opentelemetry.context import Context
from opentelemetry.sdk.trace.sampling import (
    ALWAYS_OFF,
    ALWAYS_ON,
    Decision,
    ParentBased,
    TraceIdRatioBased,
)
from opentelemetry.sdk.trace.sampling import Sampler as SdkSampler
from opentelemetry.trace import NonRecordingSpan, SpanContext, TraceFlags, set_span_in_context

from domain.exchange import TraceContext

SAMPLED: Final = int(TraceFlags.SAMPLED)

Sampler = Callable[[TraceContext | None, bytes], bool]
"""Decides by the incoming context, if any, and the trace id whether an exchange is traced."""

_NO_PARENT: Final = Context()


def sampler(name: str, argument: str) -> Sampler:
    """Make the sampler that the variables name; the default follows the caller.

    The SDK reads them too, but only warns about a mistake; here it is one of the start.

    Raises:
        ValueError: no such sampler, or a ratio that is no number from 0 to 1.
    """
    chosen = _sdk_sampler(name, argument)

    def decide(incoming: TraceContext | None, trace_id: bytes) -> bool:
        parent = _NO_PARENT if incoming is None else _parent(incoming)
        result = chosen.should_sample(parent, int.from_bytes(trace_id, "big"), "")
        return result.decision is Decision.RECORD_AND_SAMPLE

    return decide


def _sdk_sampler(name: str, argument: str) -> SdkSampler:
    kind = name.strip().lower() or "parentbased_always_on"
    root_name = kind.removeprefix("parentbased_")
    root: SdkSampler
    if root_name == "always_on":
        root = ALWAYS_ON
    elif root_name == "always_off":
        root = ALWAYS_OFF
    elif root_name == "traceidratio":
        root = TraceIdRatioBased(_ratio(argument))
    else:
        raise ValueError(
            "OTEL_TRACES_SAMPLER must be always_on, always_off or traceidratio, or one of them behind "
            f"parentbased_, got {name}; unset it to follow the caller"
        )
    return root if kind == root_name else ParentBased(root)


def _parent(incoming: TraceContext) -> Context:
    trace_id, span_id = int(incoming.trace_id, 16), int(incoming.span_id, 16)
    span = SpanContext(trace_id, span_id, is_remote=True, trace_flags=TraceFlags(incoming.flags))
    return set_span_in_context(NonRecordingSpan(span), _NO_PARENT)


def _ratio(argument: str) -> float:
    try:
        ratio = float(argument.strip() or 1.0)
    except ValueError:
        ratio = -1.0
    if not 0.0 <= ratio <= 1.0:
        raise ValueError(f"OTEL_TRACES_SAMPLER_ARG must be a number from 0 to 1, got {argument}")
    return ratio
