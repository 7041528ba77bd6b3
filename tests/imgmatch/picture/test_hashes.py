import hashlib
import io
import tracemalloc

import pytest

from imgmatch.picture.hashes import digest


@pytest.mark.parametrize("size", [0, 1, 1 << 20, (1 << 20) + 1, 3_500_000])
def test_digests_and_content_are_those_of_the_bytes(size):
    data = bytes(index * 31 % 251 for index in range(min(size, 5000))) * (size // 5000 + 1)
    data = data[:size]
    digests, kept = digest(io.BytesIO(data), keep_bytes=4 << 20)
    assert digests.sha256 == hashlib.sha256(data).hexdigest()
    assert digests.md5 == hashlib.md5(data).hexdigest()
    assert digests.sha1 == hashlib.sha1(data).hexdigest()
    assert digests.size_bytes == size
    assert kept == data


def test_content_over_the_bound_is_hashed_but_not_kept():
    digests, kept = digest(io.BytesIO(b"x" * 101), keep_bytes=100)
    assert kept is None
    assert digests.size_bytes == 101
    assert digests.sha256 == hashlib.sha256(b"x" * 101).hexdigest()


def test_content_is_in_memory_once():
    class Endless(io.RawIOBase):
        left = 64

        def read(self, size=-1):
            self.left -= 1
            return bytes(1 << 20) if self.left >= 0 else b""

    tracemalloc.start()
    try:
        _, kept = digest(Endless(), keep_bytes=64 << 20)
        assert len(kept) == 64 << 20
        assert tracemalloc.get_traced_memory()[1] < 80 << 20
    finally:
        tracemalloc.stop()
