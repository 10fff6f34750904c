"""Which handlers there are: found by entry points and in the policy file, each bound to what that says of it.

The built-in ones come through the same door as anyone's. Whatever is wrong here stops the worker from
starting: a compliance duty that is silently left out is worse than a worker that does not run.
"""

import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points

from prometheus_client import CollectorRegistry

from countersign import Handler
from countersign.handler import Judge
from countersign.log import guarded
from countersign.verdict import Mode
from workers.handler_metrics import HandlerMetrics
from workers.policy import HandlerPolicy, Policy
from workers.supervision.loading import LoadFailed, load, settings_digest
from workers.supervision.pool import DEFAULT_MEMORY_BYTES, HandlerPool, Setup, Supervisor

ENTRY_POINTS = "countersign.handlers"

_BUILT_IN = "workers.handlers."


class HandlersInvalid(Exception):
    """The handlers can't be used as they are. The message lists every problem at once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Where a handler is to be found: its name, its `module:name`, and what it is a part of."""

    name: str
    target: str
    origin: str


@dataclass(frozen=True, slots=True, kw_only=True)
class BoundHandler:
    """A handler that is ready to be asked, with what the policy says of it.

    One of `judge` (it runs inside the worker) and `pool` (it runs in processes of its own) is set. `digest`
    is the SHA-256 over its `module:name`, its code and its settings, in hex.
    """

    handler: Handler
    origin: str
    mode: Mode
    required: bool
    digest: str
    judge: Judge | None = None
    pool: HandlerPool | None = None

    @property
    def name(self) -> str:
        """The name that its votes carry."""
        return self.handler.name

    def close(self) -> None:
        """End its processes."""
        if self.pool is not None:
            self.pool.close()


def find_handlers(policy: Policy) -> tuple[Reference, ...]:
    """Find every handler that is installed or named in the policy, in order of name. None is imported.

    Raises:
        HandlersInvalid: Two have the same name, or the policy names one that is not there.

    """
    problems: list[str] = []
    found = _found(policy, problems)
    _refuse(problems)
    return found


def load_handlers(policy: Policy, environ: Mapping[str, str] | None = None) -> tuple[BoundHandler, ...]:
    """Load every handler once, to see whether that can be done and what they are; their processes are ended.

    Raises:
        HandlersInvalid: One can't be found, imported or configured. Every problem is in the one message.

    """
    supervisor = Supervisor(os.environ if environ is None else environ, HandlerMetrics(CollectorRegistry()))
    try:
        bound = bind_handlers(policy, supervisor)
        for each in bound:
            each.close()
        return bound
    finally:
        supervisor.close()


def bind_handlers(
    policy: Policy, supervisor: Supervisor, *, memory_bytes: int = DEFAULT_MEMORY_BYTES
) -> tuple[BoundHandler, ...]:
    """Load every handler that is not switched off, and give it its settings.

    `memory_bytes` is what one handler process may use. The caller closes what it gets.

    Raises:
        HandlersInvalid: One can't be found, imported or configured. Every problem is in the one message.

    """
    bound: list[BoundHandler] = []
    problems: list[str] = []
    for reference in _found(policy, problems):
        said = policy.for_handler(reference.name)
        if said.mode is Mode.OFF:
            continue
        try:
            bound.append(_bind(reference, said, policy, supervisor, memory_bytes))
        except LoadFailed as reason:
            told = guarded(str(reason))  # It may quote what the handler said of its settings.
            problems.append(f"{reference.name} ({reference.target}, {reference.origin}): {told}")
    if problems:
        for each in bound:
            each.close()
    _refuse(problems)
    return tuple(bound)


def _found(policy: Policy, problems: list[str]) -> tuple[Reference, ...]:
    found = _installed(problems)
    for name, said in policy.handlers.items():
        if said.module is not None:
            named = Reference(name=name, target=said.module, origin=f"module {said.module.partition(':')[0]}")
            known = found.setdefault(name, named)
            if known.target != named.target:
                problems.append(
                    f"{name} is {named.target} in the policy, but {known.origin} has a handler of this name: "
                    "rename yours"
                )
        elif name not in found:
            problems.append(
                f"{name} is in the policy{' as required' if said.required else ''}, but is not installed: "
                "install the package that has it, say its `module`, or take it out of the policy"
            )
    return tuple(found[name] for name in sorted(found))


def _installed(problems: list[str]) -> dict[str, Reference]:
    found: dict[str, Reference] = {}
    for point in sorted(entry_points(group=ENTRY_POINTS), key=lambda point: (point.name, point.value)):
        reference = Reference(name=point.name, target=point.value, origin=_distribution(point))
        other = found.setdefault(point.name, reference)
        if other is not reference:
            problems.append(f"{point.name} is installed twice, by {other.origin} and {reference.origin}")
    return found


def _distribution(point: EntryPoint) -> str:
    return "unknown" if point.dist is None else f"{point.dist.name} {point.dist.version}"


def _bind(
    reference: Reference, said: HandlerPolicy, policy: Policy, supervisor: Supervisor, memory_bytes: int
) -> BoundHandler:
    judge, pool = None, None
    if reference.target.startswith(_BUILT_IN):
        loaded = load(reference.target, said.settings)
        handler, code_digest, judge = loaded.handler, loaded.code_digest, loaded.judge
    else:
        setup = Setup(
            target=reference.target,
            settings=said.settings,
            search=() if policy.folder is None else (str(policy.folder),),
            memory_bytes=memory_bytes,
        )
        pool = HandlerPool(reference.name, setup, supervisor)
        handler, code_digest = pool.introduce()
    bound = BoundHandler(
        handler=handler,
        origin=reference.origin,
        mode=said.mode,
        required=handler.required if said.required is None else said.required,
        digest=_digest(reference.target, code_digest, settings_digest(said.settings)),
        judge=judge,
        pool=pool,
    )
    if handler.name != reference.name:
        bound.close()
        raise LoadFailed(f"it calls itself {handler.name}: give it one name")
    return bound


def _digest(*parts: str) -> str:
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def _refuse(problems: list[str]) -> None:
    if problems:
        lines = "\n".join(f"  - {problem}" for problem in sorted(problems))
        raise HandlersInvalid(f"the handlers can't be used as they are:\n{lines}")
