"""Pictures in mail, however a program packed them: in the text of a message too."""

import base64
import binascii
import dataclasses
import shutil
import subprocess
import time
from email.message import EmailMessage

import pytest

from imgmatch.evidence import SourceLimits, SourceOptions, walk
from tests.conftest import encode, picture
from tests.imgmatch.evidence.test_documents import split

JPEGS = [encode(picture(90 + n), "JPEG", quality=90) for n in range(3)]
HEAD = b"From: a@example.org\nTo: b@example.org\nSubject: x\nDate: Tue, 01 Jul 2025 10:00:00 +0200\nMIME-Version: 1.0\n"


def html(text: str, **options) -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"] = "a@example.org", "x"
    made.set_content("text")
    made.add_alternative(text, subtype="html", **options)
    return made


def uri(data: bytes, kind="image/jpeg", wrap=0) -> str:
    text = base64.b64encode(data).decode()
    return f"data:{kind};base64," + (
        "\n".join(text[at : at + wrap] for at in range(0, len(text), wrap)) if wrap else text
    )


@pytest.mark.parametrize("cte", ["quoted-printable", "base64", "8bit"])
def test_pictures_in_the_addresses_of_html_are_given(tmp_path, cte):
    path = tmp_path / "a.eml"
    text = (
        f'<img src="{uri(JPEGS[0], wrap=70)}"><p>data: none</p>'
        f'<div style="background: url({uri(JPEGS[1], "image/PNG")})">'
        f"<style>@font-face {{ src: url({uri(b'OTTO', 'font/otf')}) }}</style>"
        "<img src='data:image/gif,GIF89a%01%00%01%00%00%00%00;'>"
        f"<a href='{uri(JPEGS[2], 'application/octet-stream;name=a.jpg')}'>"
    )
    path.write_bytes(bytes(html(text, cte=cte)))
    inside, issues = split(path)
    assert not issues
    assert inside == {
        "mail:2/data-1.jpeg": JPEGS[0],
        "mail:2/data-2.PNG": JPEGS[1],
        "mail:2/data-3.gif": b"GIF89a\x01\0\x01\0\0\0\0;",
        "mail:2/data-4.octet-stream": JPEGS[2],
    }


def uuencoded(name: bytes, data: bytes, cut=False) -> bytes:
    lines = [binascii.b2a_uu(data[at : at + 45], backtick=at % 2 == 1) for at in range(0, len(data), 45)]
    return b"begin 644 " + name + b"\n" + b"".join(lines) + (b"" if cut else b"`\nend\n")


def test_files_in_plain_text_are_given(tmp_path):
    path = tmp_path / "a.eml"
    text = b"look:\n\n" + uuencoded(b"a b.jpg", JPEGS[0]) + b"and begin 644 of nothing\n\n"
    text += uuencoded(b"a b.jpg", JPEGS[1]).replace(b"\n", b"\r\n")
    text += b"begin-base64 644 c.jpg\n" + base64.encodebytes(JPEGS[2]) + b"====\nbegin 644 cut.bin\n"
    path.write_bytes(HEAD + b"Content-Type: text/plain\n\n" + text + binascii.b2a_uu(b"the start"))
    inside, issues = split(path)
    assert not issues
    assert inside == {
        "mail:1/a b.jpg": JPEGS[0],
        "mail:1/a b.jpg;2": JPEGS[1],
        "mail:1/c.jpg": JPEGS[2],
        "mail:1/cut.bin": b"the start",
    }


def test_a_picture_that_calls_itself_text_is_given(tmp_path):
    path = tmp_path / "a.eml"
    body = b"Content-Type: text/plain\nContent-Transfer-Encoding: base64\n\n" + base64.encodebytes(JPEGS[0])
    path.write_bytes(HEAD + body)
    assert split(path) == ({"mail:1.plain": JPEGS[0]}, [])


def attached() -> EmailMessage:
    made = EmailMessage()
    made["From"], made["Subject"], made["Date"] = "c@example.org", "inner", "Wed, 02 Jul 2025 10:00:00 +0200"
    made.set_content("inner")
    made.add_attachment(JPEGS[1], maintype="image", subtype="jpeg", filename="b.jpg")
    return made


@pytest.mark.parametrize("name", [b"", b"; name=mail.eml"])
@pytest.mark.parametrize("packing", ["base64", "quoted-printable"])
def test_a_message_that_is_packed_as_an_attachment_is_opened(tmp_path, packing, name):
    inner = bytes(attached())
    packed = base64.encodebytes(inner) if packing == "base64" else binascii.b2a_qp(inner)
    path = tmp_path / "a.eml"
    path.write_bytes(
        HEAD + b"Content-Type: multipart/mixed; boundary=B\n\n--B\n\ntext\n--B\nContent-Type: message/rfc822" + name
        + b"\nContent-Transfer-Encoding: " + packing.encode() + b"\n\n" + packed + b"\n--B--\n"
    )  # fmt: skip
    inside, issues = split(path)
    assert not issues
    assert inside == {f"mail:2{'/mail.eml' if name else '.rfc822'}|mail:2/b.jpg": JPEGS[1]}


def test_a_message_of_apples_is_opened(tmp_path):
    message = bytes(attached())
    path = tmp_path / "1.emlx"
    path.write_bytes(b"%-10d\n" % len(message) + message + b'<?xml version="1.0"?>\n<plist>data:image/png,no</plist>\n')
    assert split(path) == ({"mail:2/b.jpg": JPEGS[1]}, [])


def test_a_message_is_known_behind_what_servers_put_before_it(tmp_path):
    path = tmp_path / "a.eml"
    trace = b"".join(b"X-Trace-%d: %s\n\tgoes on\n" % (n, b"x" * 70) for n in range(70))
    assert len(trace) > 5_000
    path.write_bytes(trace + bytes(attached()))
    assert split(path) == ({"mail:2/b.jpg": JPEGS[1]}, [])
    (tmp_path / "b.txt").write_bytes(trace)
    assert [one.locator.kind for one in walk(tmp_path / "b.txt")] == ["file"]


@pytest.mark.parametrize(
    ("date", "wanted"),
    [
        ("Tue, 01 Jul 2025 10:00:00 +0200", "2025-07-01T08:00:00.000000Z"),
        ("Tue, 01 Jul 2025 10:00:00 -0000", "2025-07-01T10:00:00.000000Z"),
        ("Tue, 01 Jul 2025 10:00:00", "2025-07-01T10:00:00.000000"),
    ],
)
def test_the_time_of_a_message_is_utc_only_where_it_gives_a_zone(tmp_path, date, wanted):
    made = attached()
    del made["Date"]
    path = tmp_path / "a.eml"
    path.write_bytes(f"Date: {date}\n".encode() + bytes(made))
    assert [one.modified_utc for one in walk(path)] == [wanted]


@pytest.mark.parametrize("name", ["utf-7''+2AA-a.jpg", "unicode-escape''%5Cud800a.jpg"])
def test_half_a_character_in_a_name_ends_nothing(tmp_path, name):
    made = bytes(attached()).replace(b'filename="b.jpg"', f"filename*={name}".encode())
    path = tmp_path / "a.eml"
    path.write_bytes(made)
    assert split(path) == ({"mail:2/\\ud800a.jpg": JPEGS[1]}, [])


def test_a_text_that_begins_as_a_header_does_is_looked_at_quickly(tmp_path):
    lines = b"data: " + b"word " * 100 + b"\n" + b" more of it and more\n" * 150 + b"\xc3\xa4 no header\n"
    (tmp_path / "a.txt").write_bytes(lines)
    began = time.monotonic()
    list(walk(tmp_path))
    assert time.monotonic() - began < 5


@pytest.mark.claim("M21")
def test_a_header_without_end_takes_no_time(tmp_path):
    jpeg = encode(picture(77), "JPEG")
    long = b"Content-Type: image/jpeg; name=a.jpg; " + b"a;" * (8 << 20)
    head = b"From: a@b\r\nTo: c@d\r\nSubject: x\r\nContent-Transfer-Encoding: base64\r\n"
    (tmp_path / "a.eml").write_bytes(head + long + b"\r\n\r\n" + base64.encodebytes(jpeg))
    limits = dataclasses.replace(SourceLimits(), max_cpu_seconds=20)
    (found,) = walk(tmp_path, options=SourceOptions(limits=limits))
    assert found.locator.at == "1/a.jpg"
    with found.open() as stream:
        assert stream.read() == jpeg


@pytest.fixture(scope="module")
def signed(tmp_path_factory):
    """Signs some bytes, which then lie in the signature (``openssl``)."""
    folder = tmp_path_factory.mktemp("keys")
    new = ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-subj", "/CN=a"]
    subprocess.run(
        ["openssl", *new, "-keyout", folder / "key", "-out", folder / "crt"], check=True, capture_output=True
    )

    def sign(data, *options):
        (folder / "in").write_bytes(data)
        keys = ["-signer", folder / "crt", "-inkey", folder / "key", "-in", folder / "in", "-binary"]
        command = ["openssl", "cms", "-sign", *keys, *options]
        return subprocess.run(command, check=True, capture_output=True).stdout

    return sign


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
@pytest.mark.parametrize("options", [["-outform", "SMIME"], ["-outform", "DER"], ["-outform", "DER", "-stream"]])
def test_what_a_signature_is_around_is_read(tmp_path, signed, options):
    message = html("<p>a</p>")
    message.add_attachment(JPEGS[0], maintype="image", subtype="jpeg", filename="a.jpg")
    (tmp_path / "a.p7m").write_bytes(signed(bytes(message), "-nodetach", *options))
    inside, issues = split(tmp_path / "a.p7m")
    assert list(inside.values()).count(JPEGS[0]) == 1
    assert not issues


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_signed_file_is_read_and_a_signature_alone_is_named(tmp_path, signed):
    (tmp_path / "1.jpg.p7m").write_bytes(signed(JPEGS[1], "-nodetach", "-outform", "DER"))
    (tmp_path / "2.p7m").write_bytes(signed(JPEGS[1], "-outform", "DER"))
    inside, issues = split(tmp_path)
    assert JPEGS[1] in inside.values()
    assert [(issue.error, issue.what) for issue in issues] == [("unsupported", "message signed by S/MIME")]


@pytest.mark.skipif(shutil.which("openssl") is None, reason="needs openssl")
def test_a_cut_or_changed_signature_ends(tmp_path, signed):
    whole = signed(JPEGS[1], "-nodetach", "-outform", "DER")
    for number in range(0, 64):
        (tmp_path / f"{number}").write_bytes(whole[:number] + b"\xff" + whole[number + 1 :])
        (tmp_path / f"{number}.cut").write_bytes(whole[: 17 + number * 8])
    split(tmp_path)
