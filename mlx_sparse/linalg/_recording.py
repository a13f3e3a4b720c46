"""The space that records: a recurrence is traced once into a program of numbered vectors and scalars, which a native
interpreter replays (native/primitives/krylov.h): no Python in an iteration, and one pass over memory for vector
operations that stand together. Methods of least squares go between two spaces, whose vectors differ in length.

A program is a list of instructions (operation, out, a, b, c, d). `start` and each step are traced by themselves; the
state between them has fixed slots. What a step leaves in other memory is renamed, its scalars are copied.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache
from itertools import takewhile
from typing import Any, NamedTuple

from .. import _native

OPERATIONS = (
    *("add", "subtract", "multiply", "negate", "modulus", "conjugate", "real", "ratio", "above", "root", "reciprocal"),
    *("rotation", "pass", "overwrite", "plus", "combine", "scale", "dot", "squares", "zero", "solve"),
)
_NUMBER = {name: i for i, name in enumerate(OPERATIONS)}  # as in `Op` of krylov.h
_BREAKS = ("ratio", "above")  # they may end the solution
_X, _RESIDUAL, _B = 0, 1, 2  # vectors that every program has


class Polynomial(NamedTuple):
    """In a matrix A: from d = x = `first` r on, r <- r - A d, d <- keep d + add r, x <- x + d."""

    first: float
    steps: tuple[tuple[float, float], ...]


# The stages of an operator, one after the other: "matrix", "diagonal", the bits of a triangle's form, or a polynomial.
Kinds = tuple[str | int | Polynomial, ...]


class Unrecordable(Exception):
    """A recurrence uses what programs have no word for."""


class _Vector:
    __slots__ = ("slot",)

    def __init__(self, slot: int) -> None:
        self.slot = slot


class _Scalar:
    __slots__ = ("slot", "tape")

    def __init__(self, tape: _Tape, slot: int) -> None:
        self.tape, self.slot = tape, slot

    def __add__(self, other: Any) -> _Scalar:
        return self.tape.scalar("add", self, other)

    __radd__ = __add__

    def __sub__(self, other: Any) -> _Scalar:
        return self.tape.scalar("subtract", self, other)

    def __rsub__(self, other: Any) -> _Scalar:
        return self.tape.scalar("subtract", other, self)

    def __mul__(self, other: Any) -> _Scalar:
        return self.tape.scalar("multiply", self, other)

    __rmul__ = __mul__

    def __neg__(self) -> _Scalar:
        return self.tape.scalar("negate", self)

    def __abs__(self) -> _Scalar:
        return self.tape.scalar("modulus", self)

    def __bool__(self) -> bool:
        raise Unrecordable("a recurrence decides by values")


class _Move(NamedTuple):
    """An instruction, and what it reads and writes: slots of vectors and of scalars."""

    name: str
    numbers: tuple[int, ...]
    reads: tuple[int, ...] = ()
    writes: tuple[int, ...] = ()
    takes: tuple[int, ...] = ()
    gives: tuple[int, ...] = ()


class _Tape:
    """The space in which a recurrence is traced, with the words of `_vectors`."""

    def __init__(self, kinds: tuple[tuple[str, Kinds], ...], eps: float, two: bool) -> None:
        self.eps, self.moves, self.two = eps, [], two  # type: float, list[_Move], bool
        self.spaces = [int(two), 0, 0]  # of each vector
        self.scalars = 0
        self.constants: dict[float, int] = {}
        self.first = {word: sum(len(before) for _, before in kinds[:i]) for i, (word, _) in enumerate(kinds)}
        self.operators = sum(len(stages) for _, stages in kinds)  # one for each stage, word by word
        self._free: list[int] = []  # slots that a step may use for what it makes
        for word, stages in kinds:
            setattr(self, word, self._product(word, stages))

    # ---- slots

    def new_vector(self, space: int) -> _Vector:
        for slot in self._free:
            if self.spaces[slot] == space:
                self._free.remove(slot)
                return _Vector(slot)
        self.spaces.append(space)
        return _Vector(len(self.spaces) - 1)

    def new_scalar(self, count: int = 1) -> int:
        self.scalars += count
        return self.scalars - count

    def slot(self, a: Any) -> int:
        """Of a scalar, or of a constant."""
        if isinstance(a, _Scalar):
            return a.slot
        if isinstance(a, _Vector) or isinstance(a, complex):
            raise Unrecordable("not a real number")
        value = float(a)
        if value not in self.constants:
            self.constants[value] = self.new_scalar()
        return self.constants[value]

    def begin(self, free: Iterable[int]) -> None:
        self.moves, self._free = [], list(free)

    def scalar(self, name: str, a: Any, b: Any = 0.0, c: int = 0, takes: tuple[int, ...] = (), count: int = 1) -> Any:
        one, two, out = self.slot(a), self.slot(b), self.new_scalar(count)
        gives = tuple(range(out, out + count))
        self.moves.append(_Move(name, (out, one, two, c), takes=(one, two, *takes), gives=gives))
        return _Scalar(self, out)

    # ---- the words

    def _product(self, word: str, stages: Kinds) -> Any:
        leads_out = self.two and word in ("A", "AH")

        def product(p: _Vector) -> _Vector:
            last = p
            for which, kind in enumerate(stages, self.first[word]):
                own = None if last is p else last  # memory that may be written to
                last = self._stage(which, kind, last, own, leads_out)
            return last

        return product

    def _stage(self, which: int, kind: Any, p: _Vector, own: _Vector | None, leads_out: bool) -> _Vector:
        if isinstance(kind, Polynomial):
            return self._polynomial(which, kind, p)
        space = self.spaces[p.slot] ^ leads_out
        if kind == "matrix":
            made = self.new_vector(space)
            self._times(which, p, made)
            return made
        made = own or self.new_vector(space)
        move = ("scale",) if kind == "diagonal" else ("solve", int(kind))
        numbers = made.slot, which, p.slot, *move[1:]
        self.moves.append(_Move(move[0], numbers, (p.slot,), (made.slot,)))
        return made

    def _times(self, which: int, p: _Vector, made: _Vector) -> None:
        self.moves.append(_Move("pass", (0, which, made.slot, p.slot), (p.slot,), (made.slot,)))

    def _polynomial(self, which: int, kind: Polynomial, r: _Vector) -> _Vector:
        """A pass for each degree: what a pass's product reads it does not write to."""
        space = self.spaces[r.slot]
        x, d = self.new_vector(space), self.new_vector(space)
        self._update(d, 0, kind.first, r)
        self._update(x, 0, 1, d)
        others = [(self.new_vector(space), self.new_vector(space)) for _ in kind.steps[:2]]
        for i, (keep, add) in enumerate(kind.steps):
            q, last = others[i % 2][0], d
            d = others[i % 2][1]
            self._times(which, last, q)
            self._update(q, -1, 1, r)
            self._update(d, 0, add, q)
            self._update(d, 1, keep, last)
            self._update(x, 1, 1, d)
            r = q
        return x

    def residual(self, x: _Vector) -> _Vector:
        r = self.A(x)  # type: ignore[attr-defined]
        self._update(r, -1.0, 1.0, _Vector(_B))
        return r

    def zeros(self, space: int = 0) -> _Vector:
        v = self.new_vector(space)
        self.moves.append(_Move("zero", (v.slot,), writes=(v.slot,)))
        return v

    def dot(self, a: _Vector, b: _Vector) -> _Scalar:
        out = self.new_scalar()
        self.moves.append(_Move("dot", (out, a.slot, b.slot), (a.slot, b.slot), gives=(out,)))
        return _Scalar(self, out)

    def squares(self, v: _Vector) -> _Vector:
        made = self.new_vector(self.spaces[v.slot])
        self.moves.append(_Move("squares", (made.slot, v.slot), (v.slot,), (made.slot,)))
        return made

    def ratio(self, a: Any, b: Any) -> Any:
        return self.scalar("ratio", a, b)

    def above(self, a: Any, least: Any, code: int) -> Any:
        return self.scalar("above", a, least, code)

    def minus(self, a: Any) -> Any:
        return self.scalar("negate", a)

    def conj(self, a: Any) -> Any:
        return self.scalar("conjugate", a)

    def real(self, a: Any) -> Any:
        return self.scalar("real", a)

    def root(self, a: Any) -> Any:
        return self.scalar("root", a)

    def reciprocal(self, b: Any) -> Any:
        return self.scalar("reciprocal", b)

    def rotation(self, a: Any, b: Any, least: Any = 0) -> tuple[Any, Any, Any]:
        least = self.slot(least)
        first = self.scalar("rotation", a, b, least, (least,), 3)
        return first, _Scalar(self, first.slot + 1), _Scalar(self, first.slot + 2)

    def sweep(self, *updates: Any, squared: bool = False) -> list[Any]:
        made: list[Any] = []
        for y, a, b, x in updates:
            self._update(y, a, b, x)
            made.append(y)
        if squared:
            made.append(self.dot(made[-1], made[-1]))
        return made

    def _update(self, y: _Vector, a: Any, b: Any, x: _Vector) -> None:
        name = ("overwrite", "plus")[a] if type(a) is int and a in (0, 1) else "combine"
        one, two = self.slot(a), self.slot(b)
        reads = (x.slot,) if name == "overwrite" else (x.slot, y.slot)
        self.moves.append(_Move(name, (y.slot, one, two, x.slot), reads, (y.slot,), (one, two)))

    def __getattr__(self, word: str) -> Any:
        raise Unrecordable(f"programs have no word {word}")


class _Side:
    """One of the two spaces of a tape: its zeros, and the product that leads to the other."""

    def __init__(self, tape: _Tape, space: int) -> None:
        self._tape, self._space = tape, space
        self.A = tape.A if space else tape.AH  # type: ignore[attr-defined]

    def zeros(self) -> _Vector:
        return self._tape.zeros(self._space)

    def __getattr__(self, word: str) -> Any:
        return getattr(self._tape, word)


def _code(moves: list[_Move], spaces: list[int]) -> list[tuple[int, ...]]:
    """Instructions, with vector operations grouped into as few passes over memory as their operands allow."""
    code: list[tuple[int, ...]] = []
    group: list[_Move] = []
    after: list[_Move] = []  # scalars that wait for the end of the pass
    pending: set[int] = set()  # what is not known before
    source: int | None = None  # the operand of the pass's product, of which other blocks may be read

    def emit(move: _Move) -> None:
        numbers = (_NUMBER[move.name], *move.numbers)
        code.append((*numbers, *[0] * (6 - len(numbers))))

    def flush() -> None:
        nonlocal source
        if group:
            first = group[0]
            rest = group[1:] if first.name == "pass" else group
            product = first.numbers[1:] if first.name == "pass" else (-1, 0, 0)
            emit(_Move("pass", (len(rest), *product)))
            for move in rest:
                emit(move)
        for move in after:
            emit(move)
        for done in (group, after, pending):
            done.clear()
        source = None

    for move in moves:
        if move.name == "solve":
            flush()
            emit(move)
            continue
        if not (move.reads or move.writes):
            late = pending.intersection(move.takes) or (move.name in _BREAKS and any(m.name in _BREAKS for m in after))
            if late:
                after.append(move)
                pending.update(move.gives)
            else:
                emit(move)
            continue
        breaks = move.writes and any(m.name in _BREAKS for m in after)  # which leave what is written here as it is
        parts = group and _space(group[0], spaces) != _space(move, spaces)
        if move.name == "pass" or breaks or parts or pending.intersection(move.takes) or source in move.writes:
            flush()
        if move.name == "pass":
            source = move.reads[0]
        group.append(move)
        pending.update(move.gives)
    flush()
    return code


def _space(move: _Move, spaces: list[int]) -> int:
    return spaces[(*move.writes, *move.reads)[0]]


class _Part(NamedTuple):
    moves: list[_Move]
    state: tuple[Any, ...]


def _first_dots(part: _Part) -> list[_Move]:
    """The dot products that a step begins with, which would take a pass of their own."""
    of_vectors = (move for move in part.moves if move.reads or move.writes)
    return list(takewhile(lambda move: move.name == "dot", of_vectors))


@lru_cache(maxsize=64)
def record(method: Any, kinds: tuple[tuple[str, Kinds], ...], eps: float) -> tuple[Any, list[int]]:
    """The program of `method` with operators of these kinds, by their words, and the slots of its state."""
    tape = _Tape(kinds, eps, method.two)
    over = (_Side(tape, 0), _Side(tape, 1)) if method.two else (tape,)
    x, r = _Vector(_X), _Vector(_RESIDUAL)
    tape.begin(())
    tape._times(tape.first["A"], x, r)
    tape._update(r, -1.0, 1.0, _Vector(_B))
    guess = tape.moves
    tape.begin(())
    first = _Part(tape.moves, tuple(method.start(*over, x, r)))
    # Fixed places of the state: the slot of each vector, by the object that stands there, and a slot for each scalar.
    vectors = {v.slot for v in first.state if isinstance(v, _Vector)}
    places = [v.slot if isinstance(v, _Vector) else tape.new_scalar() for v in first.state]
    state = tuple(
        v if isinstance(v, _Vector) else _Scalar(tape, place) for v, place in zip(first.state, places, strict=True)
    )
    free = [slot for slot in range(_B + 1, len(tape.spaces)) if slot not in vectors]
    parts = []
    for step in (method.step, method.second)[: 1 if method.second is None else 2]:
        tape.begin(free)
        now = {v.slot: _Vector(v.slot) for v in state if isinstance(v, _Vector)}
        given = tuple(now[v.slot] if isinstance(v, _Vector) else v for v in state)
        parts.append(_Part(tape.moves, tuple(step(*over, given))))
    if any(len(part.state) != len(state) for part in parts):
        raise Unrecordable("the state changes its length")
    extra = _hoisted(tape, first, parts)
    constants = tape.constants
    segments = [_segment(tape, part, places, more) for part, more in zip([first, *parts], extra, strict=True)]
    recording = _native.Recording(
        counts=(len(tape.spaces), tape.scalars, tape.operators),
        square=places[1],
        constants=[(slot, value) for value, slot in constants.items()],
        segments=((_code(guess, tape.spaces), [], []), segments[0], segments[1:]),
        halves=2 if method.halves else 1,
        tests_last=method.tests_last,
        spaces=tape.spaces,
    )
    return recording, places


def _hoisted(tape: _Tape, first: _Part, parts: list[_Part]) -> list[list[tuple[int, int]]]:
    """Move dot products that a step begins with into the last pass of what comes before it; copies of scalars."""
    extra: list[list[tuple[int, int]]] = [[] for _ in range(1 + len(parts))]
    before = {0: (0, len(parts)), 1: (1,)}  # by step: the parts that it follows
    all_parts = [first, *parts]
    slots = [v.slot if isinstance(v, _Vector) else None for v in first.state]
    for k, part in enumerate(parts):
        for move in _first_dots(part):
            out, one, two = move.numbers
            if not {one, two} <= set(slots):
                continue
            part.moves.remove(move)
            kept = tape.new_scalar()
            for at in before[k]:
                vectors = [all_parts[at].state[slots.index(slot)].slot for slot in (one, two)]
                dot = tape.dot(_Vector(vectors[0]), _Vector(vectors[1]))
                all_parts[at].moves.append(tape.moves.pop())
                extra[at].append((kept, dot.slot))
            for i, later in enumerate(part.moves):
                part.moves[i] = _renumbered(later, out, kept)
            for v in part.state:
                if isinstance(v, _Scalar) and v.slot == out:
                    v.slot = kept
    return extra


def _renumbered(move: _Move, old: int, new: int) -> _Move:
    """`move`, which takes the scalar `new` in the place of `old`."""
    if old not in move.takes:
        return move
    takes = tuple(new if slot == old else slot for slot in move.takes)
    numbers = list(move.numbers)
    for i in (1, 2, 3) if move.name == "rotation" else (1, 2):
        numbers[i] = new if numbers[i] == old else numbers[i]
    return move._replace(numbers=tuple(numbers), takes=takes)


def _segment(tape: _Tape, part: _Part, places: list[int], more: list[tuple[int, int]]) -> Any:
    """The part with the renaming of vectors and the copies of scalars that end it."""
    order: dict[int, int] = {}
    copies = list(more)
    for v, place in zip(part.state, places, strict=True):
        if isinstance(v, _Vector):
            if order.setdefault(place, v.slot) != v.slot:
                raise Unrecordable("vectors of the state part")
        elif tape.slot(v) != place:
            copies.append((place, tape.slot(v)))
    taken = set(order.values())
    if len(taken) != len(order) or _B in taken or order.get(_X, _X) != _X:
        raise Unrecordable("vectors of the state meet")
    spaces = tape.spaces
    if any(spaces[place] != spaces[slot] for place, slot in order.items()):
        raise Unrecordable("vectors of the state change their space")
    slots = range(len(spaces))
    open_slots = [slot for slot in slots if slot not in order]
    unused = [slot for slot in slots if slot not in taken]
    order |= {slot: slot for slot in open_slots if slot in unused}
    moved = [slot for slot in unused if slot not in open_slots]
    for slot in open_slots:
        if slot not in order:
            order[slot] = next(other for other in moved if spaces[other] == spaces[slot])
            moved.remove(order[slot])
    renamed = [order[slot] for slot in slots]
    return _code(part.moves, spaces), [] if renamed == list(slots) else renamed, copies
