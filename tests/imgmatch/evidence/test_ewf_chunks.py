"""E01 read by zlib is what libewf reads, whatever the packing, the segments and the damage."""

import random
import shutil
import subprocess

import pytest

from imgmatch.evidence import files
from imgmatch.evidence.budget import Budget
from imgmatch.evidence.formats.ewf import Ewf
from imgmatch.evidence.formats.ewf_chunks import EwfChunks, UnknownLayoutError
from imgmatch.evidence.options import DEFAULT_OPTIONS
from imgmatch.locator import Locator

pytest.importorskip("pyewf", reason="needs the extra forensic (libewf-python)")
SIZE = (3 << 20) + 512 * 7


@pytest.fixture(scope="module")
def disk(tmp_path_factory):
    """Noise, zeros and text, not a whole number of chunks."""
    rng = random.Random(1)
    data = (rng.randbytes(1 << 20) + bytes(1 << 20) + b"forensic " * (1 << 17))[:SIZE].ljust(SIZE, b"\1")
    path = tmp_path_factory.mktemp("disk") / "disk.dd"
    path.write_bytes(data)
    return path


def acquire(disk, folder, *options):
    tool = shutil.which("ewfacquire")
    if tool is None:
        pytest.skip("needs the tool ewfacquire")
    subprocess.run([tool, "-u", "-q", *options, "-t", folder / "e", disk], check=True, capture_output=True, timeout=120)
    first = files.reopen(Locator.file(str(sorted(folder.iterdir())[0])))
    return Ewf(first, DEFAULT_OPTIONS, Budget(DEFAULT_OPTIONS.limits)).media()


@pytest.mark.parametrize("compression", ["none", "empty-block", "deflate:fast", "deflate:best"])
@pytest.mark.parametrize("shape", [("-S", "1MiB"), ("-b", "16"), ("-b", "128", "-f", "encase5"), ("-f", "ftk")])
def test_every_read_is_the_disks(disk, tmp_path, compression, shape):
    media = acquire(disk, tmp_path, "-c", compression, *shape)
    assert isinstance(media, EwfChunks)
    media._otherwise = None  # what libewf reads must not be needed
    data = disk.read_bytes()
    assert media.size == len(data)
    assert media.read_at(0, SIZE + 9) == data
    rng = random.Random(2)
    for _ in range(200):
        start = rng.randrange(SIZE)
        size = rng.choice([1, 512, 4096, 65_536, 200_000])
        assert media.read_at(start, size) == data[start : start + size]
    assert media.read_at(SIZE, 10) == b""


@pytest.mark.parametrize("shape", [("-f", "smart"), ("-f", "ewf")])
def test_what_is_laid_out_otherwise_is_left_to_libewf(disk, tmp_path, shape):
    media = acquire(disk, tmp_path, *shape)
    assert not isinstance(media, EwfChunks)
    assert media.read_at(0, SIZE) == disk.read_bytes()


def test_damage_is_never_passed_off_as_the_disks_bytes(disk, tmp_path):
    media = acquire(disk, tmp_path, "-c", "deflate:fast")
    libewf = media._otherwise
    path = tmp_path / "e.E01"
    right = path.read_bytes()
    for seed in range(150):
        rng = random.Random(seed)
        data = bytearray(right)
        data[rng.randrange(len(data))] ^= 1 << rng.randrange(8)
        path.write_bytes(bytes(data))
        try:
            damaged = EwfChunks([files_access(path)], libewf)
        except UnknownLayoutError:
            continue
        # A bad chunk comes from libewf (here that of the whole image): nothing else may differ.
        damaged._otherwise = _Zeros(SIZE)
        got = damaged.read_at(0, SIZE)
        assert got in (disk.read_bytes(), bytes(SIZE))


def files_access(path):
    from imgmatch.streams import Shared

    return Shared(path.open("rb"))


class _Zeros:
    def __init__(self, size):
        self.size = size

    def read_at(self, offset, size):
        return bytes(size)
