"""The policy of a run: both powers on, a deny list and limits that the mix is made to meet.

This is a policy for made-up settlements. A real one names templates instead of `*`, and switches approval on
for the kinds of cases that it has thought about.
"""

from countersign.sandbox.demo.mix import DENIED_WALLETS, LIMIT

_BOND_LIMIT = 10_000

_HEAD = f"""\
[powers]
auto_approve = ["*"]
auto_reject = ["*"]

[handlers.limits]
required = true

[handlers.limits.settings]
default = "{_BOND_LIMIT}"
instruments = {{ USDC = "{LIMIT}", EURC = "{LIMIT}" }}

[handlers.wallet_list]
required = true

[handlers.wallet_list.settings]
approve_when = "none_denied"
"""

_DENIED = """
[[handlers.wallet_list.settings.deny]]
address = "{wallet}"
owner = "demo"
reason = "made up, for a settlement that must be rejected"
"""


def policy_text() -> str:
    """Write the policy file."""
    return _HEAD + "".join(_DENIED.format(wallet=wallet) for wallet in DENIED_WALLETS)
