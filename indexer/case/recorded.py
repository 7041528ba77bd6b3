"""How a case is used: at one place, which writes every use into its audit log."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import imgmatch
from imgmatch.errors import CaseError, ImgmatchError, RefusedError, UsageError
from imgmatch.types import ModelSpec
from indexer.case.account import account
from indexer.case.audit import AuditLog
from indexer.case.behalf import append_once, reason
from indexer.case.chain import Head
from indexer.case.ending import ending, held, this_process
from indexer.case.operations import operations, shows_clearly
from indexer.case.people import Member
from indexer.case.run import Run
from indexer.case.signing import Signature, key_of_environment, runs_of
from indexer.case.terms import Asked, Terms, require_owner
from indexer.case.use import Change, Entry, Plain, Shelves, Use
from indexer.catalogue import Catalogue, ReleaseRow
from indexer.catalogue.clock import now_utc


class Recorded(Shelves):
    """What can be done with an open case."""

    def __init__(self, path: Path, catalogue: Catalogue, log: AuditLog) -> None:
        super().__init__(path, catalogue)
        self.catalogue = Plain(catalogue)
        self.log = log
        self.read_only = False
        """Nothing of it may be changed, so that no use of it can be recorded."""
        self.signer = key_of_environment()
        """The Ed25519 key of who uses it: at the end their entries are signed."""
        self.member: Member | None = None
        """Whoever opened it, of an encrypted case; whoever opened a plain one may do everything."""
        self.second: Member | None = None
        """Another person of it, who stands by."""
        self.asked = Asked()
        """Why it is used, and for whom what leaves it is: whoever uses it says so, and each entry that it concerns."""

    def require(self, action: str, arguments: Mapping[str, Any] | None = None) -> None:
        """Raises CaseError where this can't be done with the case now, or by whoever opened it, which is recorded; and
        UsageError where it demands to be told why, or for whom. Every use is asked for here; whoever does much before
        one asks first.
        """
        try:
            self._check(action, self._told(action, arguments or {}))
        except CaseError as error:
            refused = Entry("refused", {"action": action}, details={"why": str(error)})
            if not self.read_only:
                with contextlib.suppress(ImgmatchError):
                    self.log.append("refused", refused.fields())
            raise

    def require_owner(self, what: str) -> None:
        """Raises CaseError where who asks does not own a plain case, by the operating system's word; of an encrypted
        one the role decides, at the use.
        """
        if self.member is None:
            require_owner(self.path, what)

    def whose(self) -> str:
        """The account that asks; of an encrypted case, whose key opened it besides."""
        return account() if self.member is None else f"{account()}, key of {self.member.name}"

    def _check(self, action: str, told: Mapping[str, Any]) -> None:
        terms = Terms.of(self._catalogue.meta.all())
        for name, operation in operations(action, told):
            if self.member is not None and self.member.role not in operation.roles:
                raise RefusedError(
                    f"{self.path}: {self.member.name} is {self.member.role} here, and may not {action}"
                    f"{f' ({name})' if name != action else ''}; ask an owner for the right"
                )
            if operation.two and "two-persons" in terms.demands and self.second is None:
                raise RefusedError(
                    f"{self.path}: says that {name} needs a second person's key; give --second NAME beside your own"
                )
            if not operation.outlives and (why := terms.over()):
                raise RefusedError(
                    f"{self.path}: {why}: it is verified, audited, erased or extended, and not used; its owner "
                    f"extends it with: imgmatch terms extend {self.path} --until DATE --reason TEXT"
                )
            if operation.looks and "reason" in terms.demands and not str(told.get("reason") or "").strip():
                raise UsageError(f"{self.path}: says that every search says why; give --reason TEXT")
            if "release" in terms.demands and operation.leaves and (name == "export" or shows_clearly(told)):
                missing = [f"--{key}" for key in ("recipient", "purpose") if not str(told.get(key) or "").strip()]
                if missing:
                    raise UsageError(
                        f"{self.path}: says that what leaves it has a recipient and a purpose; give "
                        f"{' and '.join(f'{option} TEXT' for option in missing)}"
                    )

    def _told(self, action: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """How it is asked for, with what was said for all of this."""
        said = {"reason": reason() or self.asked.reason}
        if shows_clearly(arguments) or any(operation.leaves for _, operation in operations(action, arguments)):
            said |= {"recipient": self.asked.recipient, "purpose": self.asked.purpose}
        if self.second is not None and any(operation.two for _, operation in operations(action, arguments)):
            said["second"] = self.second.name
        return {**{name: value for name, value in said.items() if value}, **arguments}

    def _allow(self, action: str, arguments: Mapping[str, Any] | None) -> dict[str, Any]:
        """How it is asked for, where it may be done."""
        self.require(action, arguments)
        return self._told(action, arguments or {})

    @contextmanager
    def use(
        self,
        action: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        subject: Mapping[str, Any] | None = None,
        model: ModelSpec | None = None,
        ends: str | None = None,
        must_be_recorded: bool = True,
    ) -> Iterator[Use]:
        """Use what names evidence or shows it. Recorded as ``action`` when the block ends, before anything that it
        returns is handed on; where it fails nothing was, and nothing is recorded.

        With ``ends``, for what streams: recorded when the block begins, and as ``ends``, with its numbers, when it is
        done or whoever asked has enough. Raises CaseError where the log can't be written: use that leaves no trace is
        none, unless it need not be: what verifies a case that is read-only.
        """
        told = self._allow(action, arguments)
        used = Use(self.path, self._catalogue, Entry(action, told, subject or {}, model))
        if self.read_only and not must_be_recorded:
            yield used
            return
        self._require_a_log()
        if ends is None:
            yield used
            used.head = self._record(action, used)
            return
        used.head = self.log.append(action, used.entry.fields())
        try:
            yield used
        except GeneratorExit:
            self.log.append(ends, used.entry.fields())
            raise
        self._record(ends, used)

    def _record(self, action: str, used: Use) -> Head:
        """The entry of a use that is done, and with it what leaves the case, if anything does."""
        if used.handed_out is None:
            return append_once(self.log, action, used.entry.fields())
        left, told = used.handed_out, used.entry.arguments
        with self._catalogue.transaction() as writer:
            number = writer.releases.next_id()
            head = self.log.add(writer, action, {**used.entry.fields(), "release": number})
            row = ReleaseRow(
                number, now_utc(), account(), left.what, shows_clearly(told), str(told.get("recipient", "")),
                str(told.get("purpose", "")), left.target, head.entry, {**told, "action": used.entry.action},
            )  # fmt: skip
            writer.releases.add(row, left.files)
        self.log.own.append(head.entry)
        self.log.write_out()
        return head

    def sign(self) -> None:
        """Sign what was written to the log through this since the last time, where there is a key to sign with: the
        signature is an entry itself.
        """
        if self.signer is None or self.read_only or not self.log.own:
            return
        case_id = self._catalogue.meta.all().get("case_id", "")
        signature = Signature(case_id, runs_of(self.log.own), self.log.head())
        self.log.append("signed", Entry("signed", details=signature.details(self.signer)).fields())
        self.log.own.clear()

    def beside(self, use: Use) -> Use:
        """This case as one that ``use``, of another, only reads: that one's log tells of it, and this one is left as it
        is, on whatever disk it lies. Its own terms hold.
        """
        self._check(use.entry.action, use.entry.arguments)
        return Use(self.path, self._catalogue, use.entry)

    @contextmanager
    def change(
        self,
        action: str,
        *,
        arguments: Mapping[str, Any] | None = None,
        subject: Mapping[str, Any] | None = None,
        model: ModelSpec | None = None,
    ) -> Iterator[Change]:
        """A transaction of the catalogue, begun by the first use of its writer, and its entry in the log: both are
        committed together, or neither is.
        """
        self._require_a_log()
        told = self._allow(action, arguments)
        with ExitStack() as stack:
            entry = Entry(action, told, subject or {}, model)
            begin = partial(stack.enter_context, self._catalogue.transaction())
            changing = Change(self.path, self._catalogue, entry, begin)
            yield changing
            changing.head = self.log.add(changing.writer, action, entry.fields())
        self.log.own.append(changing.head.entry)
        self.log.write_out()

    @contextmanager
    def run(
        self,
        command: str,
        runtime: str = "",
        *,
        arguments: Mapping[str, Any] | None = None,
        subject: Mapping[str, Any] | None = None,
        model: ModelSpec | None = None,
        going_on: int | None = None,
    ) -> Iterator[Run]:
        """A long change, in as many transactions as it takes: recorded as ``command``_started when the block begins,
        and as ``command`` with its numbers, its state and why however it ends. ``going_on``: the number of a run that
        was cut off.
        """
        about = {"runtime": runtime} if runtime else {}
        self._require_a_log()
        told = self._allow(command, arguments)
        with held(self.path) as room:
            with self.change(f"{command}_started", arguments=arguments, model=model) as begun:
                run_id = going_on or begun.writer.runs.start(
                    command, imgmatch.__version__, runtime, dict(arguments or {}), now_utc()
                )
                begun.entry.details = {"run_id": run_id, **about}
                begun.writer.runs.set_running(run_id, this_process())
            entry = Entry(command, told, subject or {}, model, details={"run_id": run_id, **about})
            running = Run(self.path, self._catalogue, entry, run_id)
            error: BaseException | None = None
            try:
                yield running
            except BaseException as raised:
                error = raised
                raise
            finally:
                state, why = ending(error, running.stopped)
                entry.details = {**entry.details, "state": state, **({"why": why} if why else {})}
                room.free()
                with self._catalogue.transaction() as writer:
                    writer.runs.finish(run_id, dict(entry.counts), now_utc(), state, why)
                    ended = self.log.add(writer, command, entry.fields())
                self.log.own.append(ended.entry)
                self.log.write_out()

    def _require_a_log(self) -> None:
        if self.read_only:
            raise CaseError(
                f"{self.path}: is read-only here: a use can't be recorded, and is refused; verify it with "
                "`audit verify` and `check`, or use a copy on a disk that can be written"
            )
