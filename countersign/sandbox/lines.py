"""HTTP lines to webhook endpoints: each carries one request at a time, over a connection that it keeps.

A client shared by many requests looks through all its connections for each one; with sixteen of them the look
costs more than the request.
"""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx


class Lines:
    """The lines to one endpoint, as many as requests may run at once. The one used last is used next."""

    def __init__(self, number: int, timeout_seconds: float, trust: ssl.SSLContext) -> None:
        self._all = [
            httpx.AsyncClient(timeout=timeout_seconds, verify=trust, follow_redirects=False, trust_env=False)
            for _ in range(number)
        ]
        self._free: asyncio.LifoQueue[httpx.AsyncClient] = asyncio.LifoQueue()
        for line in self._all:
            self._free.put_nowait(line)

    @asynccontextmanager
    async def one(self) -> AsyncIterator[httpx.AsyncClient]:
        """Hold a line, and wait for it while all are busy."""
        line = await self._free.get()
        try:
            yield line
        finally:
            self._free.put_nowait(line)

    async def close(self) -> None:
        """Hang up."""
        for line in self._all:
            await line.aclose()
