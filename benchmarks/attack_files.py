"""Files that attack: small on disk, and without end for who believes them. Each is written by a function of its own.

What they claim are numbers of members, lengths of names, headers, lines and numbers, depths, and sizes of what they
unpack to; in everything that ingest opens and every file that a command is given.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import random
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

_BLOCK = 16 << 20


@dataclass(frozen=True, slots=True)
class Attack:
    """A file and what is asked of it: a ``command`` of imgmatch, with CASE, FILE and FOLDER (an empty one) in it."""

    name: str
    file: str
    write: Callable[[Path], None]
    command: Sequence[str]


INGEST = ("ingest", "CASE", "FILE", "--no-index", "--format", "json")
_THOROUGH = (*INGEST, "--profile", "thorough", "--jobs", "8")


def attacks() -> list[Attack]:
    """All of them."""
    evidence = [Attack(name, f"{name.replace(' ', '-')}{ending}", write, INGEST) for name, ending, write in _EVIDENCE]
    given = [Attack(name, file, write, command.split()) for name, file, write, command in _GIVEN]
    thorough = [replace(each, name=f"thorough: {each.name}", command=_THOROUGH) for each in evidence[-2:]]
    return [*evidence, *thorough, *given]


# --- evidence


def _filling(letters: bytes) -> bytes:
    """A block of these bytes that packs to some 1:180: what packs better is told from a bomb by its ratio alone."""
    chance, out = random.Random(1), bytearray()
    while len(out) < _BLOCK:
        out += bytes(chance.choices(letters, k=560)) + letters[:1] * (65_536 - 560)
    return bytes(out[:_BLOCK])


def _gz(path: Path, parts: Sequence[bytes], repeat: Sequence[int] | None = None) -> None:
    """A gzip file whose content is each part so many times: each is packed once."""
    with path.open("wb") as file:
        for part, times in zip(parts, repeat or [1] * len(parts), strict=True):
            packed = gzip.compress(part, 6, mtime=0)
            for _ in range(times):
                file.write(packed)


def _tar_header(kind: bytes, size: int, name: str = "x") -> bytes:
    info = tarfile.TarInfo(name)
    info.type, info.size = kind, size
    return info.tobuf(tarfile.GNU_FORMAT)


def _small_tar(name: str = "last.txt", data: bytes = b"behind it all") -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        info = tarfile.TarInfo(name)
        info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def _tar_long(kind: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        _gz(
            path, [_tar_header(kind, 2 << 30), _filling(b"0123456789abcdef"), _small_tar()], [1, (2 << 30) // _BLOCK, 1]
        )

    return write


def _pax(records: dict[str, str], kind: bytes = tarfile.XHDTYPE) -> bytes:
    text = b""
    for key, value in records.items():
        bare = len(f" {key}={value}\n".encode())
        length = bare + len(str(bare))
        length = bare + len(str(length))
        text += f"{length} {key}={value}\n".encode()
    return _tar_header(kind, len(text)) + text + b"\0" * (-len(text) % 512)


def _tar_global(path: Path) -> None:
    """Global headers, each of which has keys of its own."""
    with gzip.open(path, "wb", 1) as file:
        for number in range(800):
            file.write(_pax({f"k{number}.{part}": "v" * 60 for part in range(4_000)}, tarfile.XGLTYPE))
        file.write(_small_tar())


def _tar_headers_only(path: Path) -> None:
    """Extended headers that follow one another, and no file."""
    _gz(path, [_pax({"comment": "x"}), _small_tar()], [200_000, 1])


def _tar_gnu_sparse(path: Path, blocks: int = 60) -> None:
    """A sparse map of GNU's old kind that goes on and on."""
    info = tarfile.TarInfo("sparse")
    info.type, info.size = tarfile.GNUTYPE_SPARSE, 0
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:482] = (b"00000000000\0" * 2) * 4
    head[482], head[483:495] = 1, b"00000000000\0"
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    chance, more = random.Random(1), bytearray()
    while len(more) < _BLOCK:
        places = b"".join(b"%011o\0" % chance.randrange(1, 1 << 16) for _ in range(3)) + b"00000000001\0" * 39
        more += (places + b"\1" + b"\0" * 7) + ((b"00000000001\0" * 42) + b"\1" + b"\0" * 7) * 7
    _gz(path, [bytes(head), bytes(more)], [1, blocks])


def _tar_pax_sparse(path: Path, blocks: int = 60) -> None:
    """A sparse map of version 1.0 with a hundred million places."""
    head = _pax({"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "x", "GNU.sparse.realsize": "9"})
    size = blocks * _BLOCK
    first = b"100000000\n"
    filling = b"".join(b"%d\n" % (number % 900 + 100) for number in range(_BLOCK // 4))
    _gz(path, [head + _tar_header(tarfile.REGTYPE, size), first + filling[: -len(first)], filling], [1, 1, blocks - 1])


def _tar_members(count: int, name_bytes: int) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with gzip.open(path, "wb", 1) as file:
            for number in range(count):
                name = f"{number:07}"
                if name_bytes > 100:
                    file.write(_pax({"path": name + "n" * name_bytes}))
                file.write(_tar_header(tarfile.REGTYPE, 0, name + "n" * min(name_bytes, 80)))

    return write


def _central(name: bytes, crc: int = 0, packed: int = 0, size: int = 0, method: int = 0, offset: int = 0) -> bytes:
    fixed = (b"PK\1\2", 20, 20, 0, method, 0, 33, crc, packed, size, len(name), 0, 0, 0, 0, 0, offset)
    return struct.pack("<4s6H3I5H2I", *fixed) + name


def _local(name: bytes, crc: int = 0, packed: int = 0, size: int = 0, method: int = 0) -> bytes:
    return struct.pack("<4s5H3I2H", b"PK\3\4", 20, 0, method, 0, 33, crc, packed, size, len(name), 0) + name


def _end(count: int, size: int, offset: int) -> bytes:
    record = struct.pack("<4sQ2H2I4Q", b"PK\6\6", 44, 45, 45, 0, 0, count, count, size, offset)
    locator = struct.pack("<4sIQI", b"PK\6\7", 0, offset + size, 1)
    few, wide = min(count, 0xFFFF), 0xFFFFFFFF
    return record + locator + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, few, few, min(size, wide), min(offset, wide), 0)


def _zip_entries(entry: bytes, count: int) -> Callable[[Path], None]:
    """A packed ZIP whose directory names one entry again and again."""

    def write(path: Path) -> None:
        first, block = _local(b"x"), entry * (_BLOCK // len(entry))
        blocks = count * len(entry) // len(block)
        size = blocks * len(block)
        _gz(path, [first, block, _end(size // len(entry), size, len(first))], [1, blocks, 1])

    return write


def _zip_member(packed: Callable[[], bytes], method: int, claims: int) -> Callable[[Path], None]:
    """One member that claims to unpack to ``claims`` bytes and unpacks to many more."""

    def write(path: Path) -> None:
        data = packed()
        first = _local(b"a.jpg", 1, len(data), claims, method) + data
        entry = _central(b"a.jpg", 1, len(data), claims, method)
        path.write_bytes(first + entry + struct.pack("<4s4H2IH", b"PK\5\6", 0, 0, 1, 1, len(entry), len(first), 0))

    return write


def _deflated() -> bytes:
    packer = zlib.compressobj(9, zlib.DEFLATED, -15)
    return b"".join([*(packer.compress(b"\0" * _BLOCK) for _ in range(256)), packer.flush()])


def _bzipped() -> bytes:
    packer = bz2.BZ2Compressor(9)
    return b"".join([*(packer.compress(b"\0" * _BLOCK) for _ in range(192)), packer.flush()])


def _lzma_alone(dictionary: int) -> bytes:
    packer = lzma.LZMACompressor(lzma.FORMAT_ALONE, filters=[{"id": lzma.FILTER_LZMA1, "preset": 1}])
    data = b"".join([*(packer.compress(b"\0" * _BLOCK) for _ in range(192)), packer.flush()])
    return data[:1] + struct.pack("<I", dictionary) + data[5:]


def _lzma_of_zip() -> bytes:
    data = _lzma_alone(3 << 30)
    return b"\x09\x04\x05\x00" + data[:5] + data[13:]


def _lzma_file(path: Path) -> None:
    path.write_bytes(_lzma_alone(3 << 30))


def _xz(path: Path) -> None:
    """Zeros behind a dictionary of 1.5 GiB."""
    packer = lzma.LZMACompressor(lzma.FORMAT_XZ, filters=[{"id": lzma.FILTER_LZMA2, "preset": 1}])
    data = bytearray(b"".join([*(packer.compress(b"\0" * _BLOCK) for _ in range(128)), packer.flush()]))
    length = (data[12] + 1) * 4
    at = data.index(b"\x21\x01", 12)  # LZMA2, one byte: the dictionary
    data[at + 2] = 39  # 3 GiB
    data[12 + length - 4 : 12 + length] = zlib.crc32(data[12 : 12 + length - 4]).to_bytes(4, "little")
    path.write_bytes(bytes(data))


def _zstd(path: Path) -> None:
    """Zeros with a window of 2 GiB."""
    raw = b"".join(struct.pack("<I", (128 << 10) << 3 | 2)[:3] + b"\0" for _ in range(24_000))
    path.write_bytes(b"\x28\xb5\x2f\xfd" + b"\0" + bytes([(31 - 10) << 3]) + raw + b"\1\0\0")


def _gz_name(path: Path) -> None:
    """Packed: a gzip header with a name of 256 MB."""
    _gz(path, [b"\x1f\x8b\x08\x08" + b"\0" * 6, b"n" * _BLOCK], [1, 16])


def _gz_many(path: Path) -> None:
    """Packed in packed in packed."""
    data = gzip.compress(_small_tar(), 1)
    for _ in range(40):
        data = gzip.compress(data, 1)
    path.write_bytes(data)


def _gz_empty_members(path: Path) -> None:
    """Two million gzip members without content."""
    _gz(path, [gzip.compress(b"", mtime=0) * 200_000], [10])


def _zip_in_zip(path: Path) -> None:
    """Ten archives of ten archives of ..., each of zeros."""
    data = gzip.compress(b"\0" * _BLOCK)
    for _ in range(7):
        out = io.BytesIO()
        with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
            for number in range(10):
                archive.writestr(f"{number}.zip", data)
        data = out.getvalue()
    path.write_bytes(data)


def _zip_overlap(path: Path) -> None:
    """Two hundred thousand entries that all are the same bytes."""
    data = zlib.compress(b"\0" * (1 << 20), 9)[2:-4]
    crc = zlib.crc32(b"\0" * (1 << 20))
    first = _local(b"a", crc, len(data), 1 << 20, 8) + data
    entries = b"".join(_central(b"%07d" % n, crc, len(data), 1 << 20, 8) for n in range(50_000))
    path.write_bytes(first + entries + _end(50_000, len(entries), len(first)))


def _zip_local_only(path: Path) -> None:
    """Local headers without a directory, each with a name of 60 KB."""
    _gz(path, [_local(b"n" * 60_000) * 200], [60])


def _sevenzip(header: bytes) -> bytes:
    start = struct.pack("<QQI", 0, len(header), zlib.crc32(header))
    return b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + header


def _number(value: int) -> bytes:
    return b"\xff" + struct.pack("<Q", value)


def _sevenzip_files(path: Path) -> None:
    """8 million files of no content, named by one encoded header."""
    count = 8_000_000
    empty = b"\xff" * (count // 8)
    names = b"\0" + b"a\0\0\0" * count
    files = b"\x05" + _number(count) + b"\x0e" + _number(len(empty)) + empty + b"\x11" + _number(len(names)) + names
    header = b"\x01" + files + b"\0\0"
    packer = lzma.LZMACompressor(lzma.FORMAT_RAW, filters=[{"id": lzma.FILTER_LZMA1, "preset": 1}])
    packed = packer.compress(header) + packer.flush()
    coder = b"\x23\x03\x01\x01\x05\x5d\x00\x00\x10\x00"
    folder = b"\x07\x0b" + _number(1) + b"\0\x01" + coder + b"\x0c" + _number(len(header)) + b"\0"
    streams = b"\x06" + _number(0) + _number(1) + b"\x09" + _number(len(packed)) + b"\0" + folder + b"\0"
    encoded = b"\x17" + streams
    start = struct.pack("<QQI", len(packed), len(encoded), zlib.crc32(encoded))
    path.write_bytes(b"7z\xbc\xaf\x27\x1c\0\4" + struct.pack("<I", zlib.crc32(start)) + start + packed + encoded)


def _sevenzip_claims(path: Path) -> None:
    """Claims 8 million files and holds none."""
    path.write_bytes(_sevenzip(b"\x01\x05" + _number(8_000_000) + b"\0" * 4_000))


def _mail(path: Path) -> None:
    """Parts in parts, 20,000 deep."""
    lines = [b"From: a@b\nTo: c@d\nMIME-Version: 1.0\n"]
    for depth in range(20_000):
        lines.append(b'Content-Type: multipart/mixed; boundary="%d"\n\n--%d\n' % (depth, depth))
    path.write_bytes(b"".join(lines))


def _mail_line(path: Path) -> None:
    """One header of 256 MB."""
    with path.open("wb") as file:
        file.write(b"From: a@b\nTo: c@d\nSubject: x\nContent-Type: ")
        for _ in range(16):
            file.write(b"a;" * (_BLOCK // 2))


def _tiff(path: Path) -> None:
    """Directories that follow one another for a hundred thousand pages."""
    out = bytearray(b"II*\0\x08\0\0\0")
    for number in range(100_000):
        at = len(out) + 2 + 12 + 4 if number < 99_999 else 0
        out += struct.pack("<HHHIII", 1, 256, 4, 1, 16, at)
    path.write_bytes(bytes(out))


def _mbr(path: Path) -> None:
    """A chain of extended partitions that ends nowhere."""
    disk = bytearray(512 * 4096)
    for sector in range(4096):
        entry = struct.pack("<8BII", 0, 0, 0, 0, 5, 0, 0, 0, (sector + 1) % 4096 if sector else 1, 4095)
        disk[sector * 512 + 446 + 16 : sector * 512 + 446 + 32] = entry
        disk[sector * 512 + 446 : sector * 512 + 462] = struct.pack("<8BII", 0, 0, 0, 0, 6, 0, 0, 0, 1, 1)
        disk[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"
    path.write_bytes(bytes(disk))


def _deflate_gz(path: Path) -> None:
    _gz(path, [b"\0" * _BLOCK], [512])


def _bz2_file(path: Path) -> None:
    path.write_bytes(bz2.compress(b"\0" * _BLOCK) * 512)


def _ewf_section(kind: bytes, body: bytes, at: int, end: bool = False) -> bytes:
    """A section of an E01 that begins at ``at``."""
    size = 76 + len(body)
    head = struct.pack("<16sQQ40s", kind, at if end else at + size, size, b"")
    return head + struct.pack("<I", zlib.adler32(head)) + body


def _summed(data: bytes) -> bytes:
    return data + struct.pack("<I", zlib.adler32(data))


def _ewf(chunks: Sequence[bytes], chunk_bytes: int, tables: int = 1) -> bytes:
    """An E01 of these packed chunks, so many ``tables`` of each."""
    out = bytearray(b"EVF\x09\x0d\x0a\xff\x00\x01" + struct.pack("<HH", 1, 0))
    sectors = len(chunks) * tables * (chunk_bytes >> 9)
    volume = struct.pack("<IIIIQ", 1, len(chunks) * tables, chunk_bytes >> 9, 512, sectors).ljust(1048, b"\0")
    out += _ewf_section(b"volume", _summed(volume), len(out))
    places, data = [], bytearray()
    for chunk in chunks:
        places.append((len(out) + 76 + len(data)) | 1 << 31)
        data += chunk
    out += _ewf_section(b"sectors", bytes(data), len(out))
    entries = struct.pack(f"<{len(places)}I", *places)
    body = _summed(struct.pack("<IIQI", len(places), 0, 0, 0)) + _summed(entries)
    for _ in range(tables):
        out += _ewf_section(b"table", body, len(out))
    return bytes(out + _ewf_section(b"done", b"", len(out), True))


def _e01_chunks(path: Path) -> None:
    """Chunks of 32 KiB that each unpack to 1 GiB."""
    packer = zlib.compressobj(9)
    bomb = b"".join([*(packer.compress(b"\0" * _BLOCK) for _ in range(64)), packer.flush()])
    path.write_bytes(_ewf([bomb[: (64 << 10) - 8]] * 64, 32 << 10))


def _e01_large_chunks(path: Path) -> None:
    """Chunks of 64 MiB of zeros."""
    path.write_bytes(_ewf([zlib.compress(b"\0" * (64 << 20), 9)] * 64, 64 << 20))


def _e01_table(path: Path) -> None:
    """A table of 150 million chunks."""
    count, size = 150_000_000, 24 + 600_000_000 + 4
    head = bytearray(b"EVF\x09\x0d\x0a\xff\x00\x01" + struct.pack("<HH", 1, 0))
    volume = struct.pack("<IIIIQ", 1, count & 0xFFFFFFFF, 64, 512, count * 64).ljust(1048, b"\0")
    head += _ewf_section(b"volume", _summed(volume), len(head))
    section = struct.pack("<16sQQ40s", b"table", len(head) + 76 + size, 76 + size, b"")
    head += _summed(section) + _summed(struct.pack("<IIQI", count, 0, 0, 0))
    told = 1
    with path.open("wb") as file:
        file.write(head)
        for _ in range(600):
            told = zlib.adler32(b"\0" * 1_000_000, told)
        file.seek(600_000_000, 1)
        file.write(struct.pack("<I", told))
        file.write(_ewf_section(b"done", b"", file.tell(), True))


def _e01_tables(path: Path) -> None:
    """200,000 tables of one chunk."""
    path.write_bytes(_ewf([zlib.compress(bytes(512))], 512, 200_000))


def _png(path: Path, side: tuple[int, int], least_bytes: int = 0, shade: int = 0) -> None:
    """A picture of one row again and again, with noise behind it up to a size."""
    packer, out = zlib.compressobj(1), b"\x89PNG\r\n\x1a\n"
    row = b"\0" + bytes((x * x + shade) & 255 for x in range(3 * side[0]))
    data = b"".join([*(packer.compress(row) for _ in range(side[1])), packer.flush()])
    for kind, body in ((b"IHDR", struct.pack(">IIBBBBB", *side, 8, 2, 0, 0, 0)), (b"IDAT", data), (b"IEND", b"")):
        out += struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    with path.open("wb") as file:
        file.write(out)
        filling = random.Random(shade).randbytes(1 << 20)  # zeros would take no place, and be told by that
        for _ in range((least_bytes - len(out)) >> 20):
            file.write(filling)


def _pictures(count: int, side: tuple[int, int], least_bytes: int = 0) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        for number in range(count):
            _png(path / f"{number}.png", side, least_bytes, number)

    return write


_EVIDENCE: list[tuple[str, str, Callable[[Path], None]]] = [
    ("tar pax header of 2 GB", ".tar.gz", _tar_long(tarfile.XHDTYPE)),
    ("tar global header of 2 GB", ".tar.gz", _tar_long(tarfile.XGLTYPE)),
    ("tar long name of 2 GB", ".tar.gz", _tar_long(tarfile.GNUTYPE_LONGNAME)),
    ("tar long link of 2 GB", ".tar.gz", _tar_long(tarfile.GNUTYPE_LONGLINK)),
    ("tar of global headers", ".tar.gz", _tar_global),
    ("tar of headers alone", ".tar.gz", _tar_headers_only),
    ("tar GNU sparse map", ".tar.gz", _tar_gnu_sparse),
    ("tar pax sparse map", ".tar.gz", _tar_pax_sparse),
    ("tar of a million members", ".tar.gz", _tar_members(1_000_000, 8)),
    ("tar of names of 200 KB", ".tar.gz", _tar_members(20_000, 200_000)),
    ("zip of 12 million folders", ".zip.gz", _zip_entries(_central(b"x/"), 12_000_000)),
    ("zip of 6 million entries", ".zip.gz", _zip_entries(_central(b"x"), 6_000_000)),
    ("zip of names of 60 KB", ".zip.gz", _zip_entries(_central(b"n" * 60_000), 20_000)),
    ("zip without directory", ".zip.gz", _zip_local_only),
    ("zip deflate bomb", ".zip", _zip_member(_deflated, 8, 1 << 20)),
    ("zip bzip2 bomb", ".zip", _zip_member(_bzipped, 12, 1 << 20)),
    ("zip lzma bomb", ".zip", _zip_member(_lzma_of_zip, 14, 3 << 30)),
    ("zip in zip", ".zip", _zip_in_zip),
    ("zip of one member 50,000 times", ".zip", _zip_overlap),
    ("gzip bomb", ".gz", _deflate_gz),
    ("gzip of a long name", ".gz.gz", _gz_name),
    ("gzip 41 deep", ".gz", _gz_many),
    ("gzip of empty members", ".gz.gz", _gz_empty_members),
    ("bzip2 bomb", ".bz2", _bz2_file),
    ("xz of a 3 GiB dictionary", ".xz", _xz),
    ("lzma of a 3 GiB dictionary", ".lzma", _lzma_file),
    ("zstd of a 2 GiB window", ".zst", _zstd),
    ("7z of 8 million files", ".7z", _sevenzip_files),
    ("7z that claims 8 million", ".7z", _sevenzip_claims),
    ("mail 20,000 parts deep", ".eml", _mail),
    ("mail with a header of 256 MB", ".eml", _mail_line),
    ("TIFF of 100,000 directories", ".tif", _tiff),
    ("partitions without end", ".img", _mbr),
    ("E01 of chunks of 1 GiB", ".E01", _e01_chunks),
    ("E01 of chunks of 64 MiB", ".E01", _e01_large_chunks),
    ("E01 of a table of 600 MB", ".E01", _e01_table),
    ("E01 of 200,000 tables", ".E01", _e01_tables),
    ("pictures of 250 MB", "", _pictures(8, (64, 64), 250 << 20)),
    ("pictures of 170 million pixels", "", _pictures(4, (17_000, 10_000))),
]

# --- what commands are given

_VICS = b'{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Media","value":['
_CASES = b'{"@odata.context":"http://x/DataModels/2.0.xml/US/$metadata#Cases","value":['
_RECORD = b'{"MD5":"00000000000000000000000000000001","Category":1,"x":'


def _around(before: bytes, filling: bytes, times: int, after: bytes = b"") -> Callable[[Path], None]:
    def write(path: Path) -> None:
        block = filling * max(1, min(times, _BLOCK // len(filling)))
        with path.open("wb") as file:
            file.write(before)
            for _ in range(times * len(filling) // len(block)):
                file.write(block)
            file.write(after)

    return write


def _line(first: bytes, size: int) -> Callable[[Path], None]:
    """A first line, then one of so many zeros, which take no place on a disk."""

    def write(path: Path) -> None:
        with path.open("wb") as file:
            file.write(first)
            file.truncate(size)

    return write


def _cases(path: Path) -> None:
    """Cases with one record and long fields each."""
    case = b'{"CaseNumber":"' + b"c" * (1 << 20) + b'","Media":[' + _RECORD + b"1}]}"
    _around(_CASES, case + b",", 600, case + b"]}")(path)


def _pack(manifest: bytes, more: int = 0) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("manifest.json", manifest)
        if more:
            data = path.read_bytes()
            at = data.index(b"PK\1\2")
            entry = _central(b"manifest.jsox")
            block = entry * (_BLOCK // len(entry))
            with path.open("wb") as file:
                file.write(data[:at])
                for _ in range(more // (_BLOCK // len(entry))):
                    file.write(block)
                size = file.tell() - at
                file.write(_end(size // len(entry), size, at))

    return write


def _model(spec: bytes) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        path.mkdir()
        (path / "spec.json").write_bytes(spec)

    return write


def _vics() -> Iterator[tuple[str, bytes, bytes, int, bytes]]:
    yield "20,000 lists deep", _VICS + _RECORD, b"[", 20_000, b""
    yield "200,000 lists deep", _VICS, b"[", 200_000, b""
    yield "200,000 objects deep", _VICS + _RECORD, b'{"a":', 200_000, b""
    yield "number of 5,000 digits", _VICS + _RECORD, b"9", 5_000, b"}]}"
    yield "number of 64 MB", _VICS + _RECORD, b"9", 64 << 20, b"}]}"
    yield "exponent of 5,000 digits", _VICS + _RECORD + b"1e", b"9", 5_000, b"}]}"
    yield "text of 512 MB", _VICS + _RECORD + b'"', b"a", 512 << 20, b'"}]}'
    yield "field name of 512 MB", _VICS + _RECORD + b'1,"', b"a", 512 << 20, b'":1}]}'
    yield "record of empty lists", _VICS + _RECORD + b"[", b"[],", 20 << 20, b"1]}]}"
    yield "record of fields", _VICS + _RECORD + b"1,", b'"a":{},', 8 << 20, b'"b":1}]}'
    yield "names in names", _VICS + _RECORD, b'{"' + b"k" * 60_000 + b'":', 400, b""
    yield "header of lists", b'{"h":[', b"[],", 20 << 20, b"1]}"


_GIVEN: list[tuple[str, str, Callable[[Path], None], str]] = [
    *(
        (f"VICS, {name}", f"vics-{number}.json", _around(before, filling, times, after), "import CASE FILE")
        for number, (name, before, filling, times, after) in enumerate(_vics())
    ),
    ("VICS, header of cases", "vics-cases.json", _cases, "import CASE FILE"),
    *(
        (
            f"known VICS, {name}",
            f"known-{number}.json",
            _around(before, filling, times, after),
            "known import CASE FILE --as known --name x",
        )
        for number, (name, before, filling, times, after) in enumerate(_vics())
    ),
    (
        "known CSV, line of 2 GB",
        "known.csv",
        _line(b"md5,name\n", 2 << 30),
        "known import CASE FILE --as known --name x",
    ),
    (
        "known CSV, header of 2 GB",
        "known-header.csv",
        _line(b"md5,name", 2 << 30),
        "known import CASE FILE --as known --name x",
    ),
    (
        "known CSV, 64 MB of commas",
        "commas.csv",
        _around(b"md5,name\n", b",", 64 << 20),
        "known import CASE FILE --as known --name x",
    ),
    ("labels, line of 2 GB", "labels.csv", _line(b"file,label\na.jpg,", 2 << 30), "ingest CASE FOLDER --labels FILE"),
    ("labels, header of 2 GB", "labels-header.csv", _line(b"file,label", 2 << 30), "ingest CASE FOLDER --labels FILE"),
    (
        "labels, an open quote",
        "labels-quote.csv",
        _around(b'file,label\na.jpg,"', b"a\n", 512 << 20),
        "ingest CASE FOLDER --labels FILE",
    ),
    (
        "labels, 64 MB of commas",
        "labels-commas.csv",
        _around(b"file,label", b",", 64 << 20),
        "ingest CASE FOLDER --labels FILE",
    ),
    ("manifest CSV, line of 2 GB", "m.csv", _line(b"file,a\na.jpg,", 2 << 30), "ingest CASE --manifest FILE"),
    ("manifest CSV, header of 2 GB", "m-header.csv", _line(b"file,a", 2 << 30), "ingest CASE --manifest FILE"),
    (
        "manifest CSV, an open quote",
        "m-quote.csv",
        _around(b'file,a\na.jpg,"', b"a\n", 512 << 20),
        "ingest CASE --manifest FILE",
    ),
    ("manifest JSONL, line of 2 GB", "m.jsonl", _line(b'{"file":"', 2 << 30), "ingest CASE --manifest FILE"),
    (
        "manifest JSONL, 100,000 lists deep",
        "m-deep.jsonl",
        _around(b'{"file":"a.jpg","x":', b"[", 100_000, b"]" * 100_000 + b"}\n"),
        "ingest CASE --manifest FILE",
    ),
    (
        "manifest JSONL, number of 5,000 digits",
        "m-digits.jsonl",
        _around(b'{"file":"a.jpg","x":', b"9", 5_000, b"}\n"),
        "ingest CASE --manifest FILE",
    ),
    ("pack, manifest of empty lists", "lists.pack", _pack(b"[" + b"[]," * (80 << 20) + b"1]"), "link CASE FILE"),
    ("pack, manifest of open lists", "open.pack", _pack(b"[" * (200 << 20)), "link CASE FILE"),
    ("pack of 12 million members", "members.pack", _pack(b"{}", 12_000_000), "link CASE FILE"),
    (
        "statement of empty lists",
        "lists.statement",
        _around(b"[", b"[],", 80 << 20, b"1]"),
        "audit verify-statement FILE",
    ),
    ("model description of lists", "model", _model(b"[" + b"[]," * (80 << 20) + b"1]"), "models add FILE"),
    ("passwords, line of 2 GB", "passwords", _line(b"x", 2 << 30), "ingest CASE FILE --password-file FILE"),
]
