"""Passwords as people keep them: files of any letters, each password tried on each member, counted and never shown."""

import pytest

from cli.options.sources import PasswordOptions
from imgmatch.evidence import SourceOptions, walk
from imgmatch.types import Issue
from tests.imgmatch.evidence.test_archive_entries import PASSWORDS, aes_zip, locked_zip

WORDS = ["first", "b\u00e4rig", "with space ", "\u5bc6\u7801", "a\u2028b", "last"]
LATIN = ["first", "b\u00e4rig", "last"]


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize("letters", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
def test_a_file_of_passwords_may_be_in_any_letters(tmp_path, letters, end):
    words = LATIN if letters in ("cp1252", "utf-16-le", "utf-16-be") else WORDS
    (tmp_path / "words").write_bytes(end.join([*words, ""]).encode(letters))
    assert [word for word in PasswordOptions(password_file=tmp_path / "words").read() if word in words] == words


def test_bytes_that_are_no_text_stay_a_password(tmp_path):
    (tmp_path / "words").write_bytes(b"ok\nb\xe4rig\n")
    assert "b\udce4rig" in PasswordOptions(password_file=tmp_path / "words").read()


@pytest.mark.parametrize("make", [locked_zip, aes_zip])
def test_what_was_tried_is_counted_and_never_shown(tmp_path, make):
    (tmp_path / "a.zip").write_bytes(make(["a.jpg", "b.jpg", "c.jpg"]))
    found = list(walk(tmp_path / "a.zip", options=SourceOptions(passwords=("hunter2", "sesame"))))
    assert [issue.error for issue in found] == ["password"] * 3
    assert all("(2 passwords tried)" in issue.message for issue in found)
    assert not any(word in issue.message for word in ("hunter2", "sesame") for issue in found)


def test_passwords_open_what_an_archive_without_a_directory_holds(tmp_path):
    whole = locked_zip(["a.jpg", "b.jpg", "c.jpg"])
    (tmp_path / "a.zip").write_bytes(whole[: whole.index(b"PK\1\2")])
    found = list(walk(tmp_path / "a.zip", options=SourceOptions(passwords=PASSWORDS)))
    assert [member.locator.at for member in found[:3]] == ["a.jpg", "b.jpg", "c.jpg"]
    assert not any(isinstance(member, Issue) for member in found[:3])
    assert found[3].error == "broken_archive"
