"""The settings of the command line. A person runs it, so it may hold every secret that there is."""

from typing import ClassVar

from pydantic import Field

from countersign.keystone.token_check import TokenVerify
from countersign.settings import KeyList, SecretList
from countersign.shared_settings import ClientSettings


class PersonSettings(ClientSettings):
    """What a command needs to reach KeyStone as the workers do: with the fleet's token and budget."""

    process_name: ClassVar[str] = "command line"
    may_hold_every_secret: ClassVar[bool] = True

    token_verify: TokenVerify = TokenVerify.WARN
    egress_address: str | None = None
    rate_share: float = Field(default=0.8, gt=0, le=1)


class OperatorSettings(PersonSettings):
    """What the commands of `countersign webhook` need besides: the store that the receivers read."""

    seal_keys: KeyList = Field(min_length=1)
    webhook_secrets: SecretList = Field(default=[])
