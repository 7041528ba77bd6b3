"""Cases of reading: everything is found, or named with the reason."""

from __future__ import annotations

import contextlib
import io
import os
import zipfile
from email.message import EmailMessage
from pathlib import Path

from PIL import Image

from cli.validation.bench import Assertion, Bench, NotTestedError, case, drawing, require


@case("R1.1", "Ten JPEGs in nested folders, three without an ending or with a wrong one", "ten items")
def subfolders(bench: Bench) -> str:
    """Names and folders don't matter."""
    for number, name in enumerate(["a.jpg", "b.JPG", "c", "d.txt", "e.png", "f.jpeg", "g.tmp", ".h", "i j.jpg", "k"]):
        folder = bench.folder.joinpath("evidence", *(["deeper"] * (number % 4)))
        folder.mkdir(parents=True, exist_ok=True)
        drawing(number).save(folder / name, "JPEG")
    found = bench.items(bench.case(bench.folder / "evidence"))
    require(found == 10, f"{found} items")
    return "10 items"


@case("R1.2", "One picture each as JPEG, PNG, GIF, BMP, TIFF, WebP and PPM", "seven items of these formats")
def formats(bench: Bench) -> str:
    """The common formats."""
    (bench.folder / "evidence").mkdir()
    for number, kind in enumerate(("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")):
        drawing(number).save(bench.folder / "evidence" / f"{kind}.{kind.lower()}", kind)
    made = bench.case(bench.folder / "evidence")
    found = bench.items(made)
    require(found == 7, f"{found} items, issues {bench.issues(made)}")
    return "7 items"


@case("R2.1", "A text, an empty file, a JPEG's first 20 bytes and a folder link that leads nowhere beside a picture",
      "one item; the ingest ends with 0; each of the others is an issue with a kind and a sentence")  # fmt: skip
def unreadable(bench: Bench) -> str:
    """What can't be read is listed."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    drawing(1).save(folder / "good.jpg")
    (folder / "text.jpg").write_text("no picture at all\n" * 40)
    (folder / "empty.jpg").touch()
    (folder / "cut.jpg").write_bytes((folder / "good.jpg").read_bytes()[:20])
    others = ["text.jpg", "empty.jpg", "cut.jpg"]
    with contextlib.suppress(OSError, NotImplementedError):  # Windows
        (folder / "link").symlink_to(folder / "nowhere")
        others.append("link")
    made = bench.case(folder)
    told = {Path(issue["path"]).name: issue for issue in bench.issues(made)}
    require(bench.items(made) == 1, f"{bench.items(made)} items")
    require(sorted(told) == sorted(others), f"issues of {sorted(told)}")
    require(all(issue["error"] and issue["message"] for issue in told.values()), "an issue says nothing")
    return ", ".join(f"{name}: {told[name]['error']}" for name in others)


@case("R3.1", "A JPEG cut off at 60 %", "one item, marked partial")
def cut_picture(bench: Bench) -> str:
    """A cut picture is read as far as it goes."""
    (bench.folder / "evidence").mkdir()
    data = _jpeg(1, 640, quality=95)
    (bench.folder / "evidence" / "cut.jpg").write_bytes(data[: len(data) * 6 // 10])
    return _one_partial(bench)


@case("R3.2", "A JPEG with 4 KiB of zeros in its pixels", "one item, marked partial")
def zeroed_picture(bench: Bench) -> str:
    """What a decoder passes over is seen."""
    (bench.folder / "evidence").mkdir()
    held = bytearray(_jpeg(2, 1024, quality=95))
    middle = len(held) // 2
    held[middle : middle + 4096] = bytes(4096)
    (bench.folder / "evidence" / "holed.jpg").write_bytes(held)
    return _one_partial(bench)


def _one_partial(bench: Bench) -> str:
    status = bench.imgmatch("status", bench.case(bench.folder / "evidence"), "--format", "json").object()
    found = status["items"], status["partial_items"]
    require(found == (1, 1), f"{found[0]} items, {found[1]} partial")
    return "1 item, partial"


def _jpeg(number: int, side: int = 320, quality: int = 75) -> bytes:
    data = io.BytesIO()
    drawing(number, side).save(data, "JPEG", quality=quality)
    return data.getvalue()


@case("R4.1", "A ZIP with three different pictures of one name, one in a ZIP in it; a mail with an attachment",
      "five items, each with its place in words")  # fmt: skip
def archives(bench: Bench) -> str:
    """Pictures in containers."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    inner = io.BytesIO()
    with zipfile.ZipFile(inner, "w") as file:
        file.writestr("inner.jpg", _jpeg(9))
    with zipfile.ZipFile(folder / "a.zip", "w") as file:
        for number in range(3):
            file.writestr(zipfile.ZipInfo("same.jpg"), _jpeg(number))
        file.writestr("in.zip", inner.getvalue())
    mail = EmailMessage()
    mail["Subject"] = "a picture"
    mail.set_content("see below")
    mail.add_attachment(_jpeg(5), "image", "jpeg", filename="attached.jpg")
    (folder / "m.eml").write_bytes(mail.as_bytes())
    made = bench.case(folder)
    found = bench.items(made)
    require(found == 5, f"{found} items, issues {bench.issues(made)}")
    places = [
        s["locator"]
        for number in range(1, 6)
        for s in bench.imgmatch("show", made, number, "--format", "json").object()["sightings"]
    ]
    require(len(set(places)) == 5, f"places {places}")
    require(any("in.zip" in place and "inner.jpg" in place for place in places), f"places {places}")
    return "5 items at 5 places"


@case("R5.1", "A FAT image with two pictures, a third one deleted from it",
      "three items, one of them marked deleted")  # fmt: skip
def disk_image(bench: Bench) -> str:
    """A disk image with a deleted picture."""
    _needs("pytsk3", "forensic")
    image = _fat(bench)
    for number in range(3):
        picture = bench.folder / f"p{number}.jpg"
        picture.write_bytes(_jpeg(number))
        bench.system(bench.tool("mcopy"), "-i", image, picture, f"::P{number}.JPG")
    bench.system(bench.tool("mdel"), "-i", image, "::P1.JPG")
    made = bench.case(image)
    found = bench.items(made)
    require(found == 3, f"{found} items, issues {bench.issues(made)}")
    shown = [
        bench.imgmatch("show", made, number, "--format", "json").object()["sightings"][0] for number in range(1, 4)
    ]
    deleted = sum("deleted" in str(one) and one.get("deleted", True) is not False for one in shown)
    require(deleted == 1, f"{deleted} marked deleted")
    return "3 items, 1 deleted"


@case("R5.2", "The same picture in an E01 and on its own", "one item with two sightings")
def expert_witness(bench: Bench) -> str:
    """An E01 holds what its disk held."""
    _needs("pytsk3", "forensic")
    image = _fat(bench)
    picture = bench.folder / "evidence" / "p.jpg"
    picture.parent.mkdir()
    picture.write_bytes(_jpeg(1))
    bench.system(bench.tool("mcopy"), "-i", image, picture, "::P.JPG")
    bench.system(bench.tool("ewfacquire"), "-u", "-q", "-t", bench.folder / "evidence" / "disk", image)
    made = bench.case(bench.folder / "evidence")
    status = bench.imgmatch("status", made, "--format", "json").object()
    require(
        (status["items"], status["sightings"]) == (1, 2), f"{status['items']} items, {status['sightings']} sightings"
    )
    return "1 item, 2 sightings"


@case("R6.1", "One picture eight times, its orientation stored as 1 to 8 and its pixels turned the other way",
      "eight sightings or items that find each other with at least .99", "JPEG's losses: .99")  # fmt: skip
def orientations(bench: Bench) -> str:
    """EXIF orientation is obeyed once."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    undo = {
        1: None, 2: Image.Transpose.FLIP_LEFT_RIGHT, 3: Image.Transpose.ROTATE_180, 4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE, 6: Image.Transpose.ROTATE_90, 7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }  # fmt: skip
    upright = drawing(3, 480).crop((0, 0, 480, 320))
    for value, turn in undo.items():
        exif = Image.Exif()
        exif[0x0112] = value
        (upright if turn is None else upright.transpose(turn)).save(folder / f"{value}.png", exif=exif)
    made = bench.case(folder)
    found = bench.imgmatch("search", made, folder / "1.png", "-k", 8, "--format", "json").object()["matches"]
    lowest = min(match["score"] for match in found)
    require(len(found) == 8 and lowest >= 0.99, f"{len(found)} found, lowest {lowest}")
    return f"8 found, lowest score {lowest:.4f}"


@case("R7.1", "What a LUKS 2 volume and a BitLocker volume begin with",
      "each an issue that names the format, none 'not a picture'")  # fmt: skip
def unsupported(bench: Bench) -> str:
    """Known and unread is not unknown."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    (folder / "luks").write_bytes(b"LUKS\xba\xbe\x00\x02" + bytes(1 << 16))
    (folder / "blocker").write_bytes(b"\xeb\x58\x90-FVE-FS-" + bytes(1 << 16))
    made = bench.case(folder)
    told = {
        Path(issue["path"]).name: f"{issue['error']} {issue['what']} {issue['message']}" for issue in bench.issues(made)
    }
    require("LUKS" in told.get("luks", "") and "BitLocker" in told.get("blocker", ""), f"issues {told}")
    require("not_a_picture" not in " ".join(told.values()), f"issues {told}")
    return "LUKS and BitLocker are named"


@case("R8.1", "A ZIP encrypted by AES, first without, then with its password",
      "an issue 'password' first; one item after the second ingest")  # fmt: skip
def passwords(bench: Bench) -> str:
    """Locked, named, opened."""
    _needs("pyzipper", "archives")
    import pyzipper

    folder = bench.folder / "evidence"
    folder.mkdir()
    with pyzipper.AESZipFile(folder / "a.zip", "w", encryption=pyzipper.WZ_AES) as file:
        file.setpassword(b"open sesame")
        file.writestr("a.jpg", _jpeg(1))
    made = bench.case(folder)
    before = [issue["error"] for issue in bench.issues(made)]
    require(before == ["password"] and bench.items(made) == 0, f"without: {before}")
    bench.imgmatch("ingest", made, folder, "--reread", environment={"IMGMATCH_PASSWORDS": "wrong\nopen sesame"})
    require(bench.items(made) == 1, f"with: {bench.issues(made)}")
    return "named, then opened"


@case("R9.1", "Names of bytes that are no UTF-8, with a line end, an escape and a right-to-left override",
      "three items; no such character reaches the terminal")  # fmt: skip
def odd_names(bench: Bench) -> str:
    """Names that are no text."""
    folder = bench.folder / "evidence"
    folder.mkdir()
    names = [b"\xff\xfe.jpg", b"line\nend.jpg", "\x1b[31m\u202egpj.jpg".encode()]
    try:
        for number, name in enumerate(names):
            Path(os.fsdecode(os.fsencode(folder) + b"/" + name)).write_bytes(_jpeg(number))
    except OSError as error:
        raise NotTestedError("this file system takes no such names") from error
    made = bench.case(folder)
    require(bench.items(made) == 3, f"{bench.items(made)} items")
    shown = bench.imgmatch("search", made, folder, "-k", 3)
    reached = [letter for letter in ("\x1b", "\u202e", "line\nend") if letter in shown.out + shown.err]
    require(not reached, f"reached the terminal: {reached}")
    return "3 items, no escape shown"


def _fat(bench: Bench) -> Path:
    """The image of an empty FAT file system of 8 MiB."""
    image = bench.folder / "disk.dd"
    with image.open("wb") as file:
        file.truncate(8 << 20)
    bench.system(bench.tool("mkfs.vfat"), image)
    return image


def _needs(module: str, extra: str) -> None:
    from imgmatch.errors import MissingPackageError
    from imgmatch.optional import present

    try:
        present(module, extra)
    except MissingPackageError as error:
        raise NotTestedError(f"imgmatch[{extra}] is not installed") from error


CASES: tuple[Assertion, ...] = (
    subfolders, formats, unreadable, cut_picture, zeroed_picture, archives, disk_image, expert_witness, orientations,
    unsupported, passwords, odd_names,
)  # fmt: skip
