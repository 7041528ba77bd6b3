"""Who opens an encrypted case: a token by its plugin, the desktop's keyring, whoever is asked at a terminal."""

import os
import pty
import re
import select
import sys
import time

import pytest
import typer

from cli.app import app
from tests.conftest import ROOT, run
from tests.test_recorded import commands

pytest.importorskip("pyrage")
pytest.importorskip("sqlcipher3")
pytestmark = pytest.mark.skipif(os.name != "posix", reason="needs a terminal and programs as scripts")

PLUGIN = """
import base64, os, sys

def read():
    words, body = sys.stdin.readline().split()[1:], ""
    while True:
        line = sys.stdin.readline().rstrip("\\n")
        body += line
        if len(line) < 64:
            return words, base64.b64decode(body + "=" * (-len(body) % 4))

def write(*words, body=b""):
    text = base64.b64encode(body).decode().rstrip("=")
    sys.stdout.write(f"-> {' '.join(words)}\\n{text}\\n")
    sys.stdout.flush()

token = open(os.environ["FAKE_TOKEN"], "rb").read(16)
told = []
while (asked := read())[0] != ["done"]:
    told.append(asked)
def mixed(key):
    return bytes(a ^ b for a, b in zip(key, token))
if "--age-plugin=recipient-v1" in sys.argv:
    for number, key in enumerate(body for words, body in told if words[0] == "wrap-file-key"):
        write("recipient-stanza", str(number), "fake", body=mixed(key))
        read()
else:
    write("msg", body=b"touch the \\x1b[31mtoken")
    read()
    for words, body in told:
        if words[0] == "recipient-stanza" and words[2] == "fake":
            write("file-key", words[1], body=mixed(body))
            read()
write("done")
"""
"""A token that is none, by the protocol of age's plugins (C2SP age-plugin): a file's key, mixed with what it holds."""
KEYRING = """
import os

def get_password(service, name):
    return "from the keyring" if service.startswith("imgmatch /") and name == os.environ["EXPECTED"] else None
"""


def bech32(kind: str, data: bytes) -> str:
    """Data in the form of BIP-173."""
    bits = "".join(f"{byte:08b}" for byte in data)
    values = [int(bits[at : at + 5].ljust(5, "0"), 2) for at in range(0, len(bits), 5)]
    sum_ = 1
    for value in [*(ord(x) >> 5 for x in kind), 0, *(ord(x) & 31 for x in kind), *values, *[0] * 6]:
        top, sum_ = sum_ >> 25, (sum_ & 0x1FFFFFF) << 5 ^ value
        for bit, word in enumerate((0x3B6A57B2, 0x26508E6D, 0x1EA119FA, 0x3D4233DD, 0x2A1462B3)):
            sum_ ^= word if top >> bit & 1 else 0
    values += [(sum_ ^ 1) >> 5 * (5 - n) & 31 for n in range(6)]
    return f"{kind}1" + "".join("qpzry9x8gf2tvdw0s3jn54khce6mua7l"[value] for value in values)


@pytest.fixture
def tokens(tmp_path):
    """Two tokens, the program that speaks for them, and the environment in which it does."""
    (tmp_path / "bin").mkdir()
    plugin = tmp_path / "bin" / "age-plugin-fake"
    plugin.write_text(f"#!{sys.executable}\n{PLUGIN}")
    plugin.chmod(0o755)
    (tmp_path / "identity").write_text(bech32("age-plugin-fake-", b"slot one").upper() + "\n")
    for name in ("token", "another"):
        (tmp_path / name).write_bytes(os.urandom(16))
    path = f"{tmp_path / 'bin'}{os.pathsep}{os.environ['PATH']}"
    return {**os.environ, "PATH": path, "FAKE_TOKEN": str(tmp_path / "token")}


@pytest.mark.claim("D18")
def test_a_token_opens_it_by_its_plugin_and_another_does_not(tokens, tmp_path):
    case, identity = tmp_path / "case", ("--identity", tmp_path / "identity")
    recipient = bech32("age1fake", b"slot one")
    done = run("init", case, "--encrypt", "--recipient", recipient, env=tokens)
    assert done.returncode == 0, done.stderr
    done = run(*identity, "terms", "set", case, "--purpose", "rooms", "--reason", "why", env=tokens)
    assert done.returncode == 0, done.stderr
    assert b"imgmatch: touch the \\x1b[31mtoken" in done.stderr  # said, and moves no cursor
    done = run(*identity, "audit", "verify", case, "--format", "json", env=tokens)
    assert b'"unsigned": ""' in done.stdout  # its owner signs by a key that the token opens
    started = time.perf_counter()
    wrong = run(*identity, "status", case, env={**tokens, "FAKE_TOKEN": str(tmp_path / "another")})
    assert time.perf_counter() - started > 0.5
    assert wrong.returncode == 1
    assert "can't be opened: wrong passphrase or key, or no person of this case" in wrong.stderr.decode()
    for words in ([*identity, "status", case], ["init", tmp_path / "new", "--encrypt", "--recipient", recipient]):
        lacking = run(*words, env=dict(os.environ))
        assert lacking.returncode != 0
        assert "needs the program age-plugin-fake, which is not found; install it" in lacking.stderr.decode()
    assert not (tmp_path / "new").exists()


def test_the_keyring_opens_it_where_it_was_said_to_ask_it(tmp_path):
    (tmp_path / "modules").mkdir()
    (tmp_path / "modules" / "keyring.py").write_text(KEYRING)
    path = f"{ROOT}{os.pathsep}{tmp_path / 'modules'}"
    here = {**os.environ, "PYTHONPATH": path, "IMGMATCH_PERSON": "Ada", "EXPECTED": "Ada"}
    made = run("init", tmp_path / "case", "--encrypt", env={**here, "IMGMATCH_PASSPHRASE": "from the keyring"})
    assert made.returncode == 0, made.stderr
    assert run("status", tmp_path / "case", env=here).returncode == 1
    assert run("status", tmp_path / "case", env={**here, "IMGMATCH_KEYRING": "1"}).returncode == 0
    other = run("status", tmp_path / "case", env={**here, "IMGMATCH_KEYRING": "1", "EXPECTED": "Eve"})
    assert (other.returncode, len(other.stderr.splitlines())) == (1, 1)


def at_a_terminal(*words, answers):
    """A command at a terminal of its own, whose questions are answered; what was shown there, and how it ended."""
    child, terminal = pty.fork()
    if child == 0:
        os.execve(
            sys.executable,
            [sys.executable, "-m", "cli.main", *map(str, words)],
            {**os.environ, "PYTHONPATH": str(ROOT)},
        )
    shown, left, met = b"", list(answers), 0
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, shown
        try:
            part = os.read(terminal, 4096)
        except OSError:  # the other end is gone
            part = b""
        if not part:
            break
        shown += part
        asked = len(re.findall(rb"(?:assphrase|again)[^\n]*: ", shown))
        if left and asked > met:
            met += 1
            os.write(terminal, left.pop(0).encode() + b"\n")
    return shown.decode(), os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def test_whoever_sits_there_is_asked_and_what_they_type_is_not_shown(tmp_path):
    case = tmp_path / "case"
    shown, code = at_a_terminal("init", case, "--encrypt", answers=["open sesame", "open sesamme"])
    assert (code, case.exists()) == (1, False)
    assert "differ" in shown
    shown, code = at_a_terminal("init", case, "--encrypt", answers=["open sesame", "open sesame"])
    assert code == 0, shown
    started = time.perf_counter()
    shown, code = at_a_terminal("status", case, answers=["open says me", "open sesame"])
    assert code == 0, shown
    assert time.perf_counter() - started > 0.5
    assert "open s" not in shown
    shown, code = at_a_terminal("status", case, answers=["one", "two", "three"])
    assert (code, (case / "unlock.tries").stat().st_size) == (1, 3)


def test_who_opens_a_case_changes_their_own_passphrase(tmp_path):
    case, old, new = tmp_path / "case", "open sesame", "another word"
    assert at_a_terminal("init", case, "--encrypt", answers=[old, old])[1] == 0
    before = (case / "vault.json").read_bytes()
    for answers in ([old, "not that", new, new], [old, old, new, "new"]):
        assert at_a_terminal("access", "passphrase", case, answers=answers)[1] == 1
        assert (case / "vault.json").read_bytes() == before
    shown, code = at_a_terminal("access", "passphrase", case, answers=[old, old, new, new])
    assert code == 0, shown
    assert new not in shown
    assert at_a_terminal("status", case, answers=[old, old, old])[1] == 1
    shown, code = at_a_terminal("audit", "show", case, "--format", "json", answers=[new])
    assert code == 0, shown
    assert re.findall('"action": "([a-z]+)"', shown)[:4] == ["init", "signed", "passphrase", "signed"]


@pytest.mark.claim("D19")
def test_no_argument_of_any_command_is_a_passphrase():
    everything = [*commands(), ("imgmatch", typer.main.get_command(app))]
    options = [option for _, command in everything for option in command.params]
    secret = {name: option for option in options for name in option.opts if re.search("pass|phrase|secret", name)}
    assert set(secret) == {"--passphrase-fd", "--new-passphrase-fd", "--password", "--password-file"}
    assert secret["--password"].is_flag
