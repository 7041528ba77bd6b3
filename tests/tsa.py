"""A time-stamp authority (RFC 3161) of our own, by OpenSSL."""

import shutil
import subprocess

import pytest

_CONFIG = """
[tsa]
serial = {folder}/serial
signer_cert = {folder}/tsa.pem
signer_key = {folder}/tsa.key
signer_digest = sha256
default_policy = 1.2.3.4.1
digests = sha256, sha512
ess_cert_id_alg = sha256
accuracy = secs:1
"""


def tsa(folder):
    """A folder with the certificates of a time-stamp authority of our own (``ca.pem``) and of another, and what answers
    a request as that authority does, in bytes.
    """
    pytest.importorskip("rfc3161_client")
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed")

    def openssl(*words):
        subprocess.run(["openssl", *map(str, words)], cwd=folder, check=True, capture_output=True)

    for name in ("ca", "other"):
        subject = ("-subj", f"/CN={name}", "-days", 30, "-addext", "keyUsage=critical,keyCertSign")
        ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes")
        openssl("req", "-x509", *ec, "-keyout", f"{name}.key", "-out", f"{name}.pem", *subject)
    openssl("req", *ec, "-keyout", "tsa.key", "-out", "tsa.csr", "-subj", "/CN=our time")
    (folder / "ext").write_text("extendedKeyUsage=critical,timeStamping\nkeyUsage=critical,digitalSignature\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-days", 30, "-extfile", "ext")
    openssl("x509", "-req", "-in", "tsa.csr", *signed, "-out", "tsa.pem")
    (folder / "config").write_text(_CONFIG.format(folder=folder))

    def answered(asked, chain=()):
        (folder / "query").write_bytes(asked)
        openssl("ts", "-reply", "-config", "config", "-section", "tsa", "-queryfile", "query", "-out", "answer", *chain)
        return (folder / "answer").read_bytes()

    return folder, answered
