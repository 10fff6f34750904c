"""Makes settlements up from the seed: who, what, how much, and what will happen to them."""

import random
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal

from countersign.sandbox.clock import Clock
from countersign.sandbox.dice import Dice, hex_of, new_id
from countersign.sandbox.faults import Switchboard
from countersign.sandbox.magic import Fate, fate_of, is_magic
from countersign.sandbox.options import Options
from countersign.sandbox.settlements import Leg, Party, Settlement
from countersign.sandbox.templates import FLOW, OLD_FLOW, Template, Templates
from countersign.sandbox.tenants import Environment, Tenants

_FIRST = ("Alder", "Birch", "Cedar", "Dunmore", "Elm", "Fairfax", "Granite", "Harbour", "Iona", "Juniper")
_SECOND = ("Asset Management", "Capital", "Fixed Income", "Securities", "Treasury", "Trust")
_LAST = ("AG", "GmbH", "Inc.", "Ltd", "N.V.", "S.A.")
_CHAINS = (11155111, 84532)  # Sepolia and Base Sepolia (keystone-api.md 4.8).


@dataclass(frozen=True, slots=True, kw_only=True)
class PartyWish:
    """What is asked of one party."""

    role: str
    environment: Environment
    external_reference: str | None
    name: str | None
    wallet_address: str
    chain_id: int | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LegWish:
    """What is asked of one leg."""

    leg_type: str
    instrument_id: str
    quantity: Decimal
    direction: str
    party_role: str
    chain_id: int | None = None
    token_standard: str | None = None
    external_reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wish:
    """What the control API may ask of a made-up settlement. None is: make it up."""

    environment: Environment
    fate: Fate
    timeout_seconds: float | None = None
    template: str | None = None
    quantity: Decimal | None = None
    name: str | None = None
    wallet: str | None = None
    wallet_suffix: str | None = None
    settlement_type: str = "single_platform"
    external_reference: str | None = None


class Maker:
    """Makes settlements. The n-th one of a run is the same in every run with the same seed and wishes."""

    def __init__(
        self,
        options: Options,
        dice: Dice,
        clock: Clock,
        board: Switchboard,
        templates: Templates,
        tenants: Tenants,
    ) -> None:
        self._options = options
        self._dice = dice
        self._clock = clock
        self._board = board
        self._templates = templates
        self._tenants = tenants
        self._made = 0

    def make_up(self, wish: Wish) -> Settlement:
        """Make a settlement up, as far as the wish leaves it open."""
        stream = self._next_stream()
        slug = wish.template or stream.choices([each.slug for each in self._templates.all], [4, 1])[0]
        template = self._templates.find(slug)
        chain = stream.choice(_CHAINS)
        buyer_home = self._tenants.theirs if wish.settlement_type == "cross_platform" else wish.environment
        parties = [
            _party(stream, template.roles[0], wish.environment, chain),
            _party(stream, template.roles[1], buyer_home, chain),
        ]
        parties[0] = _as_wished(parties[0], wish)
        default = wish.environment.default_timeout_seconds
        life = default if wish.timeout_seconds is None else wish.timeout_seconds
        return self.assemble(
            stream=stream,
            environment=wish.environment,
            template=template,
            parties=parties,
            legs=_legs(stream, template, chain, wish.quantity),
            fate=wish.fate,
            timeout=timedelta(seconds=life),
            settlement_type=wish.settlement_type,
            external_reference=wish.external_reference or f"T-{stream.randrange(10**8):08d}",
        )

    def assemble(  # noqa: PLR0913 - a settlement has this many parts, each named by keyword.
        self,
        *,
        environment: Environment,
        template: Template,
        parties: list[PartyWish],
        legs: list[LegWish],
        fate: Fate,
        timeout: datetime | timedelta,
        settlement_type: str,
        external_reference: str | None,
        stream: random.Random | None = None,
        idempotency_key: str | None = None,
    ) -> Settlement:
        """Put a settlement together from its parts. Its fate: as given, or by its wallets, or by the seed."""
        stream = stream or self._next_stream()
        now = self._clock.now()
        old = self._board.now.generation == "old"
        identity = new_id(stream)
        if fate.outcome is None:
            by_wallet = fate_of(party.wallet_address for party in parties)
            fate = replace(
                by_wallet,
                recheck=fate.recheck or by_wallet.recheck,
                silent=fate.silent or by_wallet.silent,
                deposits=fate.deposits and by_wallet.deposits,
            )
        drawn = self._drawn_outcome(stream)
        return Settlement(
            id=f"stl-{identity[:13]}" if self._board.now.id_form == "prefixed" else identity,
            idempotency_key=idempotency_key or f"sandbox-{identity}",
            environment=environment,
            template=template,
            external_reference=external_reference,
            settlement_type=settlement_type,
            parties=[_real_party(stream, party, self._clock) for party in parties],
            legs=[_real_leg(stream, leg, self._clock, old=old) for leg in legs],
            timeout_at=now + timeout if isinstance(timeout, timedelta) else timeout,
            created_at=now,
            updated_at=now,
            stream=stream,
            flow=OLD_FLOW if old else FLOW,
            outcome=fate.outcome or drawn,
            recheck=fate.recheck,
            silent=fate.silent,
            deposits=fate.deposits,
        )

    def _next_stream(self) -> random.Random:
        self._made += 1
        return self._dice.stream("settlement", self._made)

    def _drawn_outcome(self, stream: random.Random) -> str:
        draw = stream.random()
        if draw < self._options.flag_rate:
            return "flag"
        return "fail" if draw < self._options.flag_rate + self._options.fail_rate else "pass"


def _party(stream: random.Random, role: str, environment: Environment, chain: int) -> PartyWish:
    return PartyWish(
        role=role,
        environment=environment,
        external_reference=f"P-{stream.randrange(10**6):06d}",
        name=f"{stream.choice(_FIRST)} {stream.choice(_SECOND)} {stream.choice(_LAST)}",
        wallet_address=_wallet(stream),
        chain_id=chain,
    )


def _as_wished(party: PartyWish, wish: Wish) -> PartyWish:
    if wish.name is not None:
        party = replace(party, name=wish.name or None)
    if wish.wallet:
        return replace(party, wallet_address=wish.wallet)
    if wish.wallet_suffix:
        kept = party.wallet_address[: -len(wish.wallet_suffix)]
        return replace(party, wallet_address=kept + wish.wallet_suffix)
    return party


def _wallet(stream: random.Random) -> str:
    wallet = "0x" + hex_of(stream, 40)
    return _wallet(stream) if is_magic(wallet) else wallet


def _legs(stream: random.Random, template: Template, chain: int, quantity: Decimal | None) -> list[LegWish]:
    """Make up what each side delivers, and for a repo what each side receives, too."""
    asset = LegWish(
        leg_type="asset_delivery",
        instrument_id=f"XS{stream.randrange(10**10):010d}",
        quantity=Decimal(stream.randrange(10, 5_000)),
        direction="deliver",
        party_role=template.roles[0],
        chain_id=chain,
        token_standard="ERC-3643",  # noqa: S106 - the name of a token standard.
    )
    payment = LegWish(
        leg_type="payment",
        instrument_id=stream.choice(("USDC", "EURC")),
        quantity=Decimal(stream.randrange(1_000_000, 90_000_000)).scaleb(-2)
        if quantity is None
        else quantity,
        direction="deliver",
        party_role=template.roles[1],
        chain_id=chain,
        token_standard="ERC-20",  # noqa: S106 - likewise.
    )
    if template.category is None:
        return [asset, payment]
    received = (
        replace(asset, direction="receive", party_role=template.roles[1]),
        replace(payment, direction="receive", party_role=template.roles[0]),
    )
    return [asset, payment, *received]


def _real_party(stream: random.Random, wish: PartyWish, clock: Clock) -> Party:
    return Party(
        id=new_id(stream),
        role=wish.role,
        environment=wish.environment,
        external_reference=wish.external_reference,
        name=wish.name,
        wallet_address=wish.wallet_address,
        chain_id=wish.chain_id,
        created_at=clock.now(),
    )


def _real_leg(stream: random.Random, wish: LegWish, clock: Clock, *, old: bool) -> Leg:
    return Leg(
        id=new_id(stream),
        leg_type="asset" if old and wish.leg_type == "asset_delivery" else wish.leg_type,
        instrument_id=wish.instrument_id,
        chain_id=wish.chain_id,
        token_standard=wish.token_standard,
        quantity=wish.quantity,
        direction=wish.direction,
        party_role=wish.party_role,
        external_reference=wish.external_reference,
        created_at=clock.now(),
        deposit_secret="0x" + hex_of(stream, 64),
        deposit_key="0x" + hex_of(stream, 64),
        calldata="0xb6b55f25" + hex_of(stream, 128),
    )
