"""`countersign keygen` prints a key that the settings take, and nothing else."""

from countersign.sealing import decoded_key
from tests.services.processes import COUNTERSIGN, run


def test_each_key_is_new_and_good() -> None:
    keys = [run(COUNTERSIGN, "keygen").strip() for _ in range(2)]
    assert all(len(decoded_key(key)) == 32 for key in keys)
    assert keys[0] != keys[1]
