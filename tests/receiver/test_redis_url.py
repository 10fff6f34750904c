"""The cache's database is the queue's next neighbour, however the address is written."""

import pytest

from countersign.redis_url import cache_url


@pytest.mark.parametrize(
    ("queue", "cache"),
    [
        ("redis://host:6379/0", "redis://host:6379/1"),
        ("redis://host:6379/14", "redis://host:6379/15"),
        ("redis://host", "redis://host/1"),
        ("redis://host/", "redis://host/1"),
        ("rediss://user:pass%40word@host:6380/2?ssl_cert_reqs=none", None),
        ("redis://host/7?db=3", "redis://host/7?db=4"),
        ("unix:///run/valkey.sock", "unix:///run/valkey.sock?db=1"),
        ("unix:///run/valkey.sock?db=1", "unix:///run/valkey.sock?db=2"),
    ],
)
def test_the_next_database_on_the_same_server(queue: str, cache: str | None) -> None:
    assert cache_url(queue) == (cache or queue.replace("/2?", "/3?"))


def test_what_has_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        cache_url("redis://host/queue")
