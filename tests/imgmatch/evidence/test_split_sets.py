"""Files in parts: whatever the parts are called, and whatever they are parts of, what is in them is found, once."""

import hashlib
import io
import shutil
import subprocess
import tarfile
import zipfile

import pytest

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


def tarred(mode):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as archive:
        for name, data in PICTURES.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()


def sevenzipped(_):
    py7zr = pytest.importorskip("py7zr", reason="needs the extra archives (py7zr)")
    buffer = io.BytesIO()
    with py7zr.SevenZipFile(buffer, "w") as archive:
        for name, data in PICTURES.items():
            archive.writestr(data, name)
    return buffer.getvalue()


MADE = {"zip": zipped, "tar": lambda _: tarred("w"), "tar.gz": lambda _: tarred("w:gz"), "7z": sevenzipped}
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
    write_parts(tmp_path, tarred("w:gz"), "x", ENDINGS["aa"])
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
    write_parts(tmp_path, tarred("w"), "a.tar.", ENDINGS["001"])
    (tmp_path / "a.tar.004").unlink()
    issues = [member.message for member in walk(tmp_path) if isinstance(member, Issue)]
    assert any("a.tar.004 is missing" in issue for issue in issues), issues
