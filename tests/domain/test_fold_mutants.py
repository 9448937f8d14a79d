"""A mutation check of the fold: every small slip in its code changes what some world folds to."""

import ast
import random
import signal
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any, Final, NamedTuple

import pytest

import domain.fold
import domain.fold_material
from domain.fact import Fact
from domain.fold_state import INITIAL, Folded, Setting, from_text, to_text
from domain.health_ports import OperatorAction
from domain.words import ActionKind, Millis, SignalType, Source
from tests.domain.fold_oracle import Oracle, World
from tests.domain.worlds import START, WINDOW

EDGES: Final = (0, 300_000, 1_500_000, 1_800_000, 1_800_001, 3_600_000, 3_600_001, 5_400_000)
"""Dates relative to the start at which windows open, end and let go."""

SECONDS_MAX: Final = 0.5
"""Processor time of a mutant; the original takes a tenth of a second."""

SETTING: Final = Setting(WINDOW)
LOOKS: Final = (START + 1_800_000, START + 3_600_001, START + 7_200_000, START + 40_000_000)
"""Every other world is folded look by look, the others at once."""

EQUIVALENT: Final = {
    "_LATE: Final[Millis] = 1 << 62": "any time behind all others will do",
    "latency_ms: int = -1": "a latency of none is any negative number",
    "given = -1 if fact.latency_ms is None else fact.latency_ms": "likewise",
    "return -1": "likewise",
    "if len(group) > 1:": "looking a single report up finds no other one",
    "if fact.message_id and SENT in kinds_of(fact):": "these worlds bring their sends",
}
"""Lines in which a slip may go unnoticed here, and why."""
_SWAP: Final[dict[type[ast.cmpop], type[ast.cmpop]]] = {
    ast.Lt: ast.LtE,
    ast.LtE: ast.Lt,
    ast.Gt: ast.GtE,
    ast.GtE: ast.Gt,
    ast.Eq: ast.NotEq,
    ast.Is: ast.IsNot,
    ast.IsNot: ast.Is,
}


class Mutant(NamedTuple):
    """A module with one slip; `name` says where."""

    name: str
    module: ModuleType


def worlds() -> list[World]:
    """Make worlds whose facts meet at window edges, from a fixed seed."""
    draw = random.Random(20260116)
    return [_world(draw, number) for number in range(200)]


def _world(draw: random.Random, number: int) -> World:
    facts: list[Fact] = []
    sent: dict[str, Millis] = {}
    for burst in range(draw.randint(1, 6)):
        at = START + draw.choice(
            [0, 300_000, 1_500_000, 1_800_000, 1_800_001, 3_600_000, 3_600_001, 5_400_000]
        )
        kind = draw.choice(list(SignalType))
        for index in range(draw.choice([1, 2, 5, 21])):
            message = draw.choice([f"{burst}-{index}", f"{index}", "same", None])
            source = draw.choice([Source.WEBHOOK, Source.DISPATCH])
            moment = at + draw.choice([0, 0, 1, index, 1_800_000])
            latency = draw.choice([None, 0, 1, 40_000])
            group = draw.random() < 0.3
            facts.append(Fact("i-1", "", 0, kind, source, moment, message, group, latency))
            if kind is SignalType.MESSAGE_SENT and message:
                sent[message] = min(moment, sent.get(message, moment))
    actions = [
        OperatorAction(
            "i-1",
            f"{n:08}",
            n,
            draw.choice(list(ActionKind)),
            START + draw.choice([0, 1, 1_800_000, 3_000_000]),
        )
        for n in range(1, draw.choice([1, 1, 2, 4]))
    ]
    return World(facts, actions, WINDOW, sent if number % 2 else None)


WORLDS: Final = worlds()


def folded(world: World, fold: Any, material: Any) -> Iterator[Folded]:
    """Fold a world look by look, through text, with the functions of these modules."""
    entries = material.entries_of(world.facts, world.sent)
    state = INITIAL
    for until in LOOKS if world.sent is None else LOOKS[-1:]:
        since = state.at
        leaving = [e for e in entries if since - WINDOW <= e.at <= until - WINDOW - 1]
        entering = [e for e in entries if since < e.at <= until]
        acted = sorted((a for a in world.actions if since < a.at <= until), key=lambda a: (a.at, a.id))
        supplied = material.Material(leaving, entering, material.reports_of(entries), acted)
        outcome: Folded = fold.fold(from_text(to_text(state)), supplied, until, SETTING)
        state = outcome.state
        yield outcome


EXPECTED: Final = [list(folded(world, domain.fold, domain.fold_material)) for world in WORLDS]


def survives(fold: Any, material: Any) -> bool:
    """Tell whether every world still folds to the same states, changes and commits, in time."""
    signal.signal(signal.SIGVTALRM, _too_long)
    signal.setitimer(signal.ITIMER_VIRTUAL, SECONDS_MAX, SECONDS_MAX / 50)
    try:
        return all(
            seen == expected
            for world, looks in zip(WORLDS, EXPECTED, strict=True)
            for seen, expected in zip(folded(world, fold, material), looks, strict=True)
        )
    except Exception:  # noqa: BLE001 - a mutant that crashes or hangs is noticed as well
        return False
    finally:
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)


def _too_long(_number: int, frame: FrameType | None) -> None:
    """End a mutant where it runs; what is raised in a callback of the garbage collector goes nowhere."""
    if frame is not None and Path(frame.f_code.co_filename).parent == Path(domain.fold.__file__).parent:
        raise TimeoutError("the mutant does not come to an end")


class _Slip(ast.NodeTransformer):
    """Makes the `target`-th possible slip of a module."""

    def __init__(self, target: int, lines: list[str]) -> None:
        self.target = target
        self.lines = lines
        self.seen = -1
        self.made = ""

    def _hit(self, node: ast.AST, what: str = "{}") -> bool:
        self.seen += 1
        if self.seen != self.target:
            return False
        line = self.lines[getattr(node, "lineno", 1) - 1].strip()
        self.made = f"{what.format(ast.unparse(node))} in: {line}"
        return True

    def visit_Compare(self, node: ast.Compare) -> ast.AST:
        self.generic_visit(node)
        swapped = _SWAP.get(type(node.ops[0]))
        if swapped is not None and self._hit(node):
            node.ops[0] = swapped()
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.Add | ast.Sub) and self._hit(node):
            node.op = ast.Sub() if isinstance(node.op, ast.Add) else ast.Add()
        return node

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if type(node.value) is int and self._hit(node, "{} + 1"):
            return ast.copy_location(ast.Constant(node.value + 1), node)
        return node

    def visit_Expr(self, node: ast.Expr) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.value, ast.Call) and self._hit(node, "without {}"):
            return ast.copy_location(ast.Pass(), node)
        return node

    def visit_BoolOp(self, node: ast.BoolOp) -> ast.AST:
        self.generic_visit(node)
        if self._hit(node):
            node.op = ast.Or() if isinstance(node.op, ast.And) else ast.And()
        return node


@cache
def mutants(original: ModuleType) -> tuple[Mutant, ...]:
    """Give every mutant of a module that can be loaded at all, by name."""
    return tuple(sorted(_mutants(original), key=lambda mutant: mutant.name))


def _mutants(original: ModuleType) -> Iterator[Mutant]:
    assert original.__file__
    source = Path(original.__file__).read_text("utf-8")
    for target in range(1000):
        slip = _Slip(target, source.splitlines())
        tree = ast.fix_missing_locations(slip.visit(ast.parse(source)))
        if not slip.made:
            return
        module = ModuleType(original.__name__)
        try:
            exec(compile(tree, original.__file__, "exec"), module.__dict__)
        except Exception:  # noqa: BLE001 - a mutant that cannot be loaded is noticed
            continue
        yield Mutant(slip.made, module)


def test_the_worlds_fold_to_what_recounting_gives() -> None:
    """The outcomes mutants are held against are right ones."""
    for world, outcomes in zip(WORLDS, EXPECTED, strict=True):
        assert outcomes[-1].state == Oracle(world).run(LOOKS[-1])


@pytest.mark.parametrize("part", range(3))
def test_every_slip_in_the_fold_is_noticed(part: int) -> None:
    """No comparison, sign, number, connective or call can be wrong without a world that differs."""
    whole = mutants(domain.fold)

    unnoticed = [m.name for m in whole[part::3] if survives(m.module, domain.fold_material) and not _equal(m)]

    assert len(whole) > 100
    assert unnoticed == []


def test_every_slip_in_telling_reports_apart_is_noticed() -> None:
    """The same for what decides whether a report of a message counts."""
    whole = mutants(domain.fold_material)

    unnoticed = [m.name for m in whole if survives(domain.fold, m.module) and not _equal(m)]

    assert len(whole) > 20
    assert unnoticed == []


def _equal(mutant: Mutant) -> bool:
    return mutant.name.partition(" in: ")[2] in EQUIVALENT
