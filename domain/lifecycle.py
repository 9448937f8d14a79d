"""An instance's life: stage, connection, and what may be done with it (rules.md sections 12 and 13)."""

from typing import Final, NamedTuple

from domain.words import Connection, HealthAction, Lifecycle

_NOT_SENDING: Final = (HealthAction.BLOCK_DISPATCH, HealthAction.ALERT)


class Stage(NamedTuple):
    """Where an instance is in its life.

    Attributes:
        active: it was connected once; what it returns to after a cooldown (Q25).
        resting: lifecycle COOLDOWN.
        banned: final, by an operator.
    """

    active: bool = False
    resting: bool = False
    banned: bool = False

    @property
    def lifecycle(self) -> Lifecycle:
        """Name the stage."""
        if self.banned:
            return Lifecycle.BANNED
        if self.resting:
            return Lifecycle.COOLDOWN
        return Lifecycle.ACTIVE if self.active else Lifecycle.CREATED


def allowed_actions(
    lifecycle: Lifecycle, connection: Connection, *, can_dispatch: bool, at_risk: bool
) -> tuple[HealthAction, ...]:
    """List what may be done now, in the order of rules.md section 12.

    `can_dispatch` and `at_risk` are what the reputation says; for ALLOW_DISPATCH the stage and the connection
    must agree as well.
    """
    if lifecycle is Lifecycle.BANNED:
        return (HealthAction.VIEW_HEALTH, *_NOT_SENDING)
    actions = [HealthAction.VIEW_HEALTH]
    if connection is Connection.DISCONNECTED:
        actions.append(HealthAction.CONNECT)
    elif connection is Connection.ERROR:
        actions.append(HealthAction.RECONNECT)
    if lifecycle is Lifecycle.COOLDOWN:
        return (*actions, HealthAction.ENTER_COOLDOWN, *_NOT_SENDING)
    if at_risk:
        actions.append(HealthAction.ALERT)
    ready = lifecycle is Lifecycle.ACTIVE and connection is Connection.CONNECTED and can_dispatch
    return (*actions, HealthAction.ALLOW_DISPATCH if ready else HealthAction.BLOCK_DISPATCH)
