"""The control API under `/_sandbox/`: set the scene, see what really happened. `docs/sandbox.md` lists it."""

from litestar import Router

from countersign.sandbox.control import platform, records, scene
from countersign.sandbox.gate import CONTROL


def control_router() -> Router:
    """Put the calls together; none of them passes the gate."""
    calls = [*records.CALLS, *scene.CALLS, *platform.CALLS]
    return Router("/_sandbox", route_handlers=calls, opt={CONTROL: True})
