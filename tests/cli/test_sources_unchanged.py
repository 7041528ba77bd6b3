"""Sources stay as they are: content, times and listing of every file and folder, whatever is done with a case."""

import io
import shutil
import subprocess
import tarfile
import zipfile

import pytest

from tests.conftest import encode, picture, run, run_json, snapshot


@pytest.fixture
def sources(tmp_path):
    folder = tmp_path / "seized"
    (folder / "phone" / "empty").mkdir(parents=True)
    for seed in range(3):
        (folder / "phone" / f"{seed}.jpg").write_bytes(encode(picture(seed), "JPEG"))
    (folder / "broken.jpg").write_bytes(encode(picture(9, (600, 400)), "JPEG")[:3000])
    (folder / "words.png").write_bytes(b"words")
    (folder / "link").symlink_to("phone/0.jpg")
    with zipfile.ZipFile(folder / "archive.zip", "w") as archive:
        archive.writestr("../outside.jpg", encode(picture(4), "JPEG"))
        inner = io.BytesIO()
        with tarfile.open(fileobj=inner, mode="w:gz") as tar:
            data = encode(picture(5), "PNG")
            entry = tarfile.TarInfo("/deep.png")
            entry.size = len(data)
            tar.addfile(entry, io.BytesIO(data))
        archive.writestr("inner.tar.gz", inner.getvalue())
    return folder


def everything_done_with_a_case(case, folder):
    assert run("init", case).returncode == 0
    report = run_json("ingest", case, folder)
    run_json("ingest", case, folder, "--reread", "--profile", "thorough")
    run_json("ingest", case, folder, "--reread", "--no-isolation")
    found = run_json("search", case, folder / "phone" / "1.jpg", "--report", case.parent / "report")
    assert found["matches"][0]["score"] > 0.99
    run(
        "explain",
        case,
        folder / "phone" / "1.jpg",
        str(found["matches"][0]["item_id"]),
        "--output",
        case.parent / "e.png",
    )
    assert run("check", case, "--sources").returncode == 0
    assert run("check", case, "--repair").returncode == 0
    assert run("issues", case).returncode == 0
    return report


def test_nothing_that_is_done_with_a_case_changes_a_source(tmp_path, sources):
    before = snapshot(sources)
    report = everything_done_with_a_case(tmp_path / "case", sources)
    assert report["new_items"] >= 6
    assert snapshot(sources) == before
    assert not (tmp_path / "outside.jpg").exists()


def test_a_disk_image_stays_as_it_is(tmp_path, sources):
    pytest.importorskip("pytsk3", reason="pytsk3 is not installed: pip install 'imgmatch[forensic]'")
    mke2fs = shutil.which("mke2fs") or shutil.which("mke2fs", path="/usr/sbin:/sbin")
    if mke2fs is None:
        pytest.skip("needs the tool mke2fs")
    image = sources / "card.dd"
    with open(image, "wb") as file:
        file.truncate(4 << 20)
    subprocess.run([mke2fs, "-q", "-t", "ext4", "-d", sources / "phone", image], check=True, capture_output=True)
    before = snapshot(sources)
    report = everything_done_with_a_case(tmp_path / "case", sources)
    assert report["known"] >= 3
    assert snapshot(sources) == before
