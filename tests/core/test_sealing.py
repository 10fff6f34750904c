"""What is sealed opens only with its keys, where it belongs, and unchanged."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from countersign.sealing import SealBroken, Sealer, SealingKeyInvalid, decoded_key, derived_key, new_key

KEYS = st.binary(min_size=32, max_size=32)


@given(KEYS, st.binary(), st.text())
def test_what_was_sealed_opens(key: bytes, plain: bytes, belongs_to: str) -> None:
    sealer = Sealer([key])

    assert sealer.open(sealer.seal(plain, belongs_to), belongs_to) == plain


@given(KEYS, st.binary(), st.integers(min_value=0), st.integers(1, 255))
def test_any_changed_byte_breaks_it(key: bytes, plain: bytes, place: int, flip: int) -> None:
    sealer = Sealer([key])
    sealed = bytearray(sealer.seal(plain, "here"))
    sealed[place % len(sealed)] ^= flip

    with pytest.raises(SealBroken):
        sealer.open(bytes(sealed), "here")


@given(st.binary(max_size=64))
def test_anything_else_is_refused_and_does_not_crash(garbage: bytes) -> None:
    with pytest.raises(SealBroken):
        Sealer([b"k" * 32]).open(garbage, "here")


def test_it_does_not_open_elsewhere() -> None:
    sealer = Sealer([b"k" * 32])

    with pytest.raises(SealBroken):
        sealer.open(sealer.seal(b"plain", "here"), "there")


def test_after_a_rotation_the_old_key_still_opens_and_the_new_one_seals() -> None:
    old, new = b"o" * 32, b"n" * 32
    sealed_before = Sealer([old]).seal(b"plain", "here")
    rotated = Sealer([new, old])

    assert rotated.open(sealed_before, "here") == b"plain"
    assert Sealer([new]).open(rotated.seal(b"plain", "here"), "here") == b"plain"


def test_a_key_that_is_gone_is_named_as_the_reason() -> None:
    with pytest.raises(SealBroken, match="add the old key"):
        Sealer([b"n" * 32]).open(Sealer([b"o" * 32]).seal(b"plain", "here"), "here")


def test_keys_derived_for_two_purposes_differ() -> None:
    assert derived_key(b"secret", "one") != derived_key(b"secret", "two")
    assert derived_key(b"secret", "one") == derived_key(b"secret", "one")


@pytest.mark.parametrize("text", ["", "short", "A" * 43, "é" * 44, "A" * 45])
def test_what_is_no_key_is_refused_without_showing_it(text: str) -> None:
    with pytest.raises(SealingKeyInvalid) as refused:
        decoded_key(text)

    assert not text or text not in str(refused.value)


def test_a_new_key_is_one() -> None:
    assert len(decoded_key(new_key())) == 32
    assert "2 keys" in repr(Sealer([b"a" * 32, b"b" * 32]))


def test_no_key_at_all_is_refused() -> None:
    with pytest.raises(SealingKeyInvalid):
        Sealer([])
