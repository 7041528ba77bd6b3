"""Files in parts: whatever the parts are called, and whatever they are parts of, what is in them is found, once."""

import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from benchmarks.evidence_stores import tarred
from imgmatch.evidence import Reopener, walk
from imgmatch.types import Issue
from tests.conftest import encode, picture

PICTURES = {f"IMG{n}.JPG": encode(picture(120 + n, (320, 240)), "JPEG", quality=95) for n in range(4)}
WANTED = {hashlib.sha256(data).hexdigest() for data in PICTURES.values()}


def found_in(path):
    files, issues, again = [], [], Reopener()
    for member in walk(path):
        if isinstance(member, Issue):
            issues.append(f"{member.error}: {member.message}")
            continue
        with again.reopen(member.locator).open() as stream:
            files.append(hashlib.sha256(stream.read()).hexdigest())
    return sorted(files), issues


def zipped(_):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in PICTURES.items():
            archive.writestr(name, data)
    return buffer.getvalue()


def sevenzipped(_):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for name, data in PICTURES.items():
            archive.writestr(data, name)
    return buffer.getvalue()


MADE = {
    "zip": zipped,
    "tar": lambda _: tarred(PICTURES),
    "tar.gz": lambda _: tarred(PICTURES, "w:gz"),
    "7z": sevenzipped,
}
ENDINGS = {
    "001": lambda n: f"{n + 1:03d}",
    "000": lambda n: f"{n:03d}",
    "01": lambda n: f"{n + 1:02d}",
    "aa": lambda n: chr(97 + n // 26) + chr(97 + n % 26),
    "aaa": lambda n: "a" + chr(97 + n // 26) + chr(97 + n % 26),
}


def write_parts(folder, whole, name, ending, count=7):
    size = -(-len(whole) // count)
    for number in range(-(-len(whole) // size)):
        (folder / f"{name}{ending(number)}").write_bytes(whole[number * size : (number + 1) * size])


@pytest.mark.parametrize("ending", ENDINGS)
@pytest.mark.parametrize("kind", MADE)
def test_a_set_is_one_file(tmp_path, kind, ending):
    write_parts(tmp_path, MADE[kind](tmp_path), f"backup.{kind}.", ENDINGS[ending])
    files, issues = found_in(tmp_path)
    assert files == sorted(WANTED)
    assert not issues


def test_a_set_of_split_without_a_name(tmp_path):
    write_parts(tmp_path, tarred(PICTURES, "w:gz"), "x", ENDINGS["aa"])
    assert found_in(tmp_path) == (sorted(WANTED), [])


def test_a_picture_in_parts_is_a_picture(tmp_path):
    write_parts(tmp_path, PICTURES["IMG0.JPG"], "a.jpg.", ENDINGS["001"], 3)
    assert found_in(tmp_path) == ([hashlib.sha256(PICTURES["IMG0.JPG"]).hexdigest()], [])


def test_a_zip_that_zip_wrote_in_parts(tmp_path):
    tool = shutil.which("zip")
    if tool is None:
        pytest.skip("needs the tool zip")
    source, folder = tmp_path / "in", tmp_path / "out"
    source.mkdir()
    folder.mkdir()
    for number in range(12):
        (source / f"{number}.jpg").write_bytes(encode(picture(150 + number, (320, 240)), "PNG"))
    subprocess.run([tool, "-q", "-r", "-s", "64k", folder / "a.zip", "."], cwd=source, check=True, timeout=60)
    assert len(list(folder.iterdir())) > 2
    files, issues = found_in(folder)
    assert files == sorted(hashlib.sha256(path.read_bytes()).hexdigest() for path in source.iterdir())
    assert not issues
    (folder / "a.z02").unlink()
    assert any("broken" in issue for issue in found_in(folder)[1])


def test_files_that_only_have_such_names_stay_files(tmp_path):
    for number, data in enumerate(PICTURES.values(), start=1):
        (tmp_path / f"IM.{number:03d}").write_bytes(data)
    assert found_in(tmp_path) == (sorted(WANTED), [])


def test_a_missing_part_is_named(tmp_path):
    write_parts(tmp_path, tarred(PICTURES), "a.tar.", ENDINGS["001"])
    (tmp_path / "a.tar.004").unlink()
    issues = [member.message for member in walk(tmp_path) if isinstance(member, Issue)]
    assert any("a.tar.004 is missing" in issue for issue in issues), issues


def packed_parts(folder, kind):
    """What lies in a folder, in an archive."""
    path = folder.parent / f"outer.{kind}"
    if kind == "zip":
        with zipfile.ZipFile(path, "w") as archive:
            for each in sorted(folder.iterdir()):
                archive.write(each, f"case/{each.name}")
    elif kind == "7z":
        py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
        with py7zr.SevenZipFile(path, "w") as archive:
            archive.writeall(folder, "case")
    else:
        with tarfile.open(path, "w:gz" if kind == "tgz" else "w") as archive:
            archive.add(folder, "case")
    return path


@pytest.mark.parametrize("kind", ["zip", "tar", "tgz", "7z"])
@pytest.mark.parametrize(("whole", "ending"), [("tar.gz", "001"), ("zip", "aa"), ("tar", "01")])
def test_a_set_in_an_archive_is_one_file(tmp_path, kind, whole, ending):
    folder = tmp_path / "in"
    folder.mkdir()
    write_parts(folder, MADE[whole](tmp_path), f"backup.{whole}.", ENDINGS[ending])
    assert found_in(packed_parts(folder, kind)) == (sorted(WANTED), [])


def fat(folder):
    """A FAT file system with the pictures."""
    pytest.importorskip("pytsk3", reason="needs the extra forensic (pytsk3)")
    image = folder / "fat.dd"
    image.write_bytes(bytes(2 << 20))
    for call in (["mkfs.vfat", image], *(["mcopy", "-i", image, folder / name, "::"] for name in PICTURES)):
        if call[0] == "mcopy":
            call[3].write_bytes(PICTURES[call[3].name])
        tool = shutil.which(call[0]) or shutil.which(call[0], path="/usr/sbin:/sbin")
        if tool is None:
            pytest.skip(f"needs the tool {call[0]}")
        subprocess.run([tool, *call[1:]], check=True, capture_output=True)
    return image


@pytest.mark.parametrize("kind", ["zip", "tgz"])
def test_the_segments_of_an_e01_in_an_archive_are_one_disk(tmp_path, kind):
    tool = shutil.which("ewfacquire")
    if tool is None:
        pytest.skip("needs the tool ewfacquire")
    folder = tmp_path / "in"
    folder.mkdir()
    command = [tool, "-u", "-q", "-S", "1048576", "-c", "deflate:none", "-t", folder / "a", fat(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert len(list(folder.iterdir())) > 1
    files, issues = found_in(packed_parts(folder, kind))
    assert files == sorted(WANTED)
    assert not issues


def test_a_vmdk_and_its_extents_in_an_archive_or_a_disk_are_one_disk(tmp_path):
    folder = tmp_path / "in"
    folder.mkdir()
    command = ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=monolithicFlat", fat(tmp_path), folder / "a.vmdk"]
    if shutil.which(command[0]) is None:
        pytest.skip("needs the tool qemu-img")
    subprocess.run(command, check=True, capture_output=True)
    assert found_in(packed_parts(folder, "zip")) == (sorted(WANTED), [])


def test_a_set_on_a_disk_is_one_file(tmp_path):
    image = fat(tmp_path)
    (tmp_path / "in").mkdir()
    write_parts(tmp_path / "in", MADE["tar.gz"](tmp_path), "b.", ENDINGS["001"])
    subprocess.run(["mdel", "-i", image, "::*.JPG"], check=True)
    for part in sorted((tmp_path / "in").iterdir()):
        subprocess.run(["mcopy", "-i", image, part, "::"], check=True)
    files = [one for one in walk(image) if not isinstance(one, Issue) and not one.locator.deleted]
    assert len(files) == len(WANTED)
    assert all("|split:b|" in str(one.locator) for one in files)


def test_a_part_that_is_a_link_out_is_missing_and_one_beside_is_not(tmp_path):
    folder, away = tmp_path / "in", tmp_path / "away"
    folder.mkdir()
    away.mkdir()
    write_parts(folder, tarred(PICTURES), "a.tar.", ENDINGS["001"], 3)
    (folder / "a.tar.002").rename(away / "x")
    (folder / "a.tar.002").symlink_to(away / "x")
    members = list(walk(folder))
    assert {"link_out", "broken_archive"} <= {one.error for one in members if isinstance(one, Issue)}
    assert len(members) < len(WANTED) + 3
    assert not any(one.locator.kind == "split" for one in members)
    (folder / "a.tar.002").unlink()
    (away / "x").rename(folder / "x")
    (folder / "a.tar.002").symlink_to(folder / "x")
    found = {hashlib.sha256(one.open().read()).hexdigest() for one in walk(folder) if not isinstance(one, Issue)}
    assert found >= WANTED
