"""Pictures in what Outlook writes: winmail.dat (TNEF) and saved messages (.msg)."""

import base64
import struct
from email.message import EmailMessage

import pytest

from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_documents import compound, split

JPEGS = [encode(picture(120 + n), "JPEG", quality=90).ljust(4096, b"\0") for n in range(4)]
HTML = f"<img src='data:image/jpeg;base64,{base64.b64encode(JPEGS[3]).decode()}'>".encode()


def attribute(number: int, value: bytes, level=2) -> bytes:
    kind = {0x8010: 1, 0x800F: 6, 0x8013: 3, 0x9002: 6, 0x9005: 6, 0x9003: 6, 0x800C: 2}[number]
    return struct.pack("<BHHI", level, number, kind, len(value)) + value + struct.pack("<H", sum(value) & 0xFFFF)


def properties(*given: tuple[int, int, bytes]) -> bytes:
    data = struct.pack("<I", len(given))
    for number, kind, value in given:
        data += struct.pack("<HH", kind, number)
        if number >= 0x8000:
            data += bytes(16) + struct.pack("<II", 1, 6) + "ab\0".encode("utf-16-le") + bytes(2)
        if kind in (0x0D, 0x1E, 0x1F, 0x102):
            data += struct.pack("<II", 1, len(value))
        data += value + bytes(-len(value) % 4)
    return data


def tnef(*attributes: bytes) -> bytes:
    return struct.pack("<IH", 0x223E9F78, 1) + b"".join(attributes)


def attached(name: bytes, data: bytes, *more: bytes) -> bytes:
    when = struct.pack("<7H", 2024, 5, 6, 7, 8, 9, 1)
    return b"".join(
        [
            attribute(0x9002, bytes(14)),
            attribute(0x8010, name + b"\0"),
            attribute(0x800F, data),
            attribute(0x8013, when),
            *more,
        ]
    )


def winmail() -> bytes:
    inner = tnef(attached(b"inner.jpg", JPEGS[2]))
    long_name = (0x3707, 0x1F, "ein langer Name ü.jpg\0".encode("utf-16-le"))
    return tnef(
        attribute(0x9003, properties((0x8001, 0x03, bytes(4)), (0x0FFE, 0x03, bytes(4)), (0x1013, 0x102, HTML)), 1),
        attached(b"a.jpg", JPEGS[0]),
        attached(b"EINLAN~1.JPG", JPEGS[1], attribute(0x9005, properties((0x0E20, 0x03, bytes(4)), long_name))),
        attached(b"fwd", b"", attribute(0x9005, properties((0x3701, 0x0D, bytes(16) + inner)))),
        attached(b"empty.jpg", b""),
    )


WINMAIL = {
    "tnef:a.jpg": JPEGS[0],
    "tnef:ein langer Name ü.jpg": JPEGS[1],
    "tnef:fwd|tnef:inner.jpg": JPEGS[2],
    "tnef:data.jpeg": JPEGS[3],
}


def test_winmail_dat_gives_its_attachments(tmp_path):
    path = tmp_path / "winmail.dat"
    path.write_bytes(winmail())
    inside, issues = split(path)
    assert inside == WINMAIL
    assert [(issue.locator.at, issue.error) for issue in issues] == [("empty.jpg", "broken_document")]


def test_winmail_dat_in_a_mail_is_opened(tmp_path):
    mail = EmailMessage()
    mail["From"], mail["Subject"] = "a@example.org", "x"
    mail.set_content("x")
    mail.add_attachment(winmail(), maintype="application", subtype="ms-tnef", filename="winmail.dat")
    path = tmp_path / "a.eml"
    path.write_bytes(bytes(mail))
    inside, _ = split(path)
    assert inside == {f"mail:2/winmail.dat|{place}": data for place, data in WINMAIL.items()}


def test_a_cut_winmail_dat_gives_what_came_before(tmp_path):
    path = tmp_path / "winmail.dat"
    data = winmail()
    path.write_bytes(data[: data.index(JPEGS[1]) + 100])
    inside, issues = split(path)
    assert (inside["tnef:a.jpg"], "tnef:data.jpeg" in inside) == (JPEGS[0], True)
    assert "broken_document" in [issue.error for issue in issues]


def long(data: bytes) -> bytes:
    return data.ljust(4096, b"\0")


def msg(root_class: bytes = bytes(16)) -> bytes:
    pytest.importorskip("olefile", reason="needs the extra documents (olefile)")
    sent = struct.pack("<HHIQ", 0x40, 0x0039, 0, 133_000_000_000_000_000)
    one, two, three = (f"__attach_version1.0_#{n:08X}" for n in range(3))
    inner = f"{two}/__substg1.0_3701000D"
    return compound(
        {
            "__properties_version1.0": long(bytes(32) + sent),
            "__substg1.0_10130102": long(HTML),
            f"{one}/__substg1.0_37010102": JPEGS[0],
            f"{one}/__substg1.0_3707001F": long("ä.jpg".encode("utf-16-le")),
            f"{inner}/{one}/__substg1.0_37010102": JPEGS[1],
            f"{inner}/{one}/__substg1.0_3704001E": long(b"B.JPG"),
            f"{three}/__substg1.0_3701000D/CONTENTS": JPEGS[2],
        },
        root_class,
    )


@pytest.mark.parametrize("root_class", ["0b0d020000000000c000000000000046", "00" * 16])
def test_a_saved_message_gives_its_attachments(tmp_path, root_class):
    path = tmp_path / "a.msg"
    path.write_bytes(msg(bytes.fromhex(root_class)))
    inside, issues = split(path)
    assert not issues
    assert inside == {
        "msg:data.jpeg": JPEGS[3],
        "msg:1/ä.jpg": JPEGS[0],
        "msg:2.1/B.JPG": JPEGS[1],
        "msg:3/CONTENTS": JPEGS[2],
    }


def test_the_time_of_a_saved_message_is_that_of_its_attachments(tmp_path):
    from imgmatch.evidence import walk

    path = tmp_path / "a.msg"
    path.write_bytes(msg())
    assert {one.modified_utc for one in walk(path)} == {"2022-06-18T04:26:40.000000Z"}
