"""Time-stamps (RFC 3161) of an audit log: a trusted third party's word that its head existed at a time.

Asking for one needs a network, and is done with another program, by hand: ``request`` writes what is sent. What comes
back is attached: an entry of the log holds it, bound to the head that it is of, so that it goes along with every copy
of the log. It is verified offline, against the certificate of who made it or of who vouches for them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from imgmatch.errors import UsageError
from imgmatch.optional import require
from indexer.case import receipt
from indexer.case.attested import Attested, Stamp
from indexer.case.case import Case
from indexer.case.chain import Head

_MOST_BYTES = 1 << 20
_OURS = "2.16.840.1.101.3.4.2.1"  # SHA-256
_TIME_STAMPING = "1.3.6.1.5.5.7.3.8"


def request(case_id: str, head: Head) -> bytes:
    """What a time-stamp authority is sent (a TimeStampReq in DER): it learns a hash, and nothing of the case."""
    client: Any = require("rfc3161_client", "sign")
    message = receipt.text(case_id, head).encode("ascii", "backslashreplace")
    made: bytes = (
        client.TimestampRequestBuilder().data(message).hash_algorithm(client.HashAlgorithm.SHA256).build().as_bytes()
    )
    return made


def attach(case: Case, file: Path, certificates: Sequence[Path] = ()) -> dict[str, Any]:
    """Keep a time-stamp (a TimeStampResp in DER) in the log of a case: says of which entry it is, and its time.
    Recorded, as what it is. With ``certificates`` it must verify against one of them.

    Raises UsageError where it is none, or of no head that this log ever had.
    """
    case.require("stamp")
    try:
        with file.open("rb") as opened:
            token = opened.read(_MOST_BYTES + 1)
    except OSError as error:
        raise UsageError(
            f"{file}: can't be read ({error.strerror}); give the answer of a time-stamp authority"
        ) from error
    told = _read(token, str(file))
    case_id = case.catalogue.meta.all().get("case_id", "")
    head = _head_of(case, case_id, told.tst_info.message_imprint.message)
    if head is None:
        raise UsageError(f"{file}: is a time-stamp of something else: no entry of {case.path} has that receipt")
    stamp = Stamp(0, head, token)
    if certificates and (fault := fault_of(stamp, case_id, loaded(certificates))):
        raise UsageError(f"{file}: {fault}")
    stamped = told.tst_info.gen_time.isoformat()
    with case.use("stamp", subject={"file": str(file)}) as use:
        use.entry.details = {
            "stamps": {"entry": head.entry, "sha256": head.sha256}, "stamped_utc": stamped, "token": token.hex()
        }  # fmt: skip
    return {"entry": head.entry, "sha256": head.sha256, "stamped_utc": stamped, "verified": bool(certificates)}


def verified(found: Attested, certificates: Sequence[Path]) -> list[dict[str, Any]]:
    """The time-stamps of a log that was looked through, each with its time; where certificates are given, verified
    against them: what is wrong with one is among the faults of ``found``, too.
    """
    trusted = loaded(certificates)
    rows = []
    for stamp in found.stamps:
        try:
            at = _read(stamp.token, f"entry {stamp.entry}").tst_info.gen_time.isoformat()
            fault = fault_of(stamp, found.case_id, trusted) if trusted else ""
        except UsageError as error:
            at, fault = None, str(error)
        if fault:
            found.faults.append(f"entry {stamp.entry}: its time-stamp: {fault}")
        rows.append({"up_to_entry": stamp.head.entry, "stamped_utc": at, "verified": bool(trusted) and not fault})
    return rows


def loaded(certificates: Iterable[Path]) -> list[Any]:
    """Certificates in PEM or DER. Raises UsageError."""
    found: list[Any] = []
    for path in certificates:
        x509: Any = require("cryptography.x509", "sign")
        try:
            data = path.read_bytes()
            pem = b"-----BEGIN" in data
            found += x509.load_pem_x509_certificates(data) if pem else [x509.load_der_x509_certificate(data)]
        except OSError as error:
            raise UsageError(f"{path}: can't be read ({error.strerror}); give a certificate") from error
        except ValueError as error:
            raise UsageError(f"{path}: is no certificate in PEM or DER; give that of the authority") from error
    return found


def fault_of(stamp: Stamp, case_id: str, certificates: Sequence[Any]) -> str:
    """What is wrong with a time-stamp by what these certificates vouch for; "" where nothing is."""
    client: Any = require("rfc3161_client", "sign")
    token = _read(stamp.token, "it")
    builder = client.VerifierBuilder()
    for certificate in certificates:
        builder = builder.add_root_certificate(certificate)
        if _is_for_stamps(certificate) and not token.signed_data.certificates:
            builder = builder.tsa_certificate(certificate)
    try:
        builder.build().verify(token, receipt.imprint(case_id, stamp.head))
    except (client.VerificationError, ValueError) as error:
        return f"does not verify ({' '.join(str(error).split())[:200]})"
    return ""


def _is_for_stamps(certificate: Any) -> bool:
    x509: Any = require("cryptography.x509", "sign")
    try:
        uses = certificate.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    return any(use.dotted_string == _TIME_STAMPING for use in uses)


def _read(token: bytes, name: str) -> Any:
    client: Any = require("rfc3161_client", "sign")
    try:
        told = client.decode_timestamp_response(_in_order(token))
        if told.tst_info.message_imprint.hash_algorithm.dotted_string != _OURS:
            raise UsageError(f"{name}: is a time-stamp of another hash than SHA-256; ask for another")
    except (ValueError, TypeError) as error:
        raise UsageError(f"{name}: is no answer of a time-stamp authority (RFC 3161) that grants one") from error
    return told


def _in_order(token: bytes) -> bytes:
    """A token whose certificates stand in the order that DER asks of a set: many authorities send them in another, and
    no signature is of their order. What is no such token comes as it is.
    """
    try:
        response = _parts(token, *_inside(token, 0))
        content = _parts(token, *_inside(token, response[1][0]))
        signed = _inside(token, content[1][0])
        data = _parts(token, *_inside(token, signed[0]))
        (at,) = [start for start, _ in data if token[start] == 0xA0]
        first, last = _inside(token, at)
        found = sorted(token[start:end] for start, end in _parts(token, first, last))
        return token[:first] + b"".join(found) + token[last:]
    except (IndexError, ValueError):
        return token


def _parts(data: bytes, at: int, end: int) -> list[tuple[int, int]]:
    """Where each element between two places begins and ends."""
    found = []
    while at < end:
        last = _inside(data, at)[1]
        found.append((at, last))
        at = last
    return found


def _inside(data: bytes, at: int) -> tuple[int, int]:
    """Where what is in an element begins and ends. Raises ValueError where it is longer than there is."""
    size, start = data[at + 1], at + 2
    if size & 0x80:
        digits = size & 0x7F
        size, start = int.from_bytes(data[start : start + digits], "big"), start + digits
    if start + size > len(data):
        raise ValueError("cut")
    return start, start + size


def _head_of(case: Case, case_id: str, imprint: bytes) -> Head | None:
    """The head whose receipt has this SHA-256."""
    found: list[Head] = []

    def met(number: int, sha256: str, line: bytes) -> None:
        if receipt.imprint(case_id, Head(number, sha256)) == imprint:
            found.append(Head(number, sha256))

    case.log.verify(met=met)
    return found[0] if found else None
