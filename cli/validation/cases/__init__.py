"""The cases of the validation, in the order of their requirements."""

from cli.validation.bench import Assertion
from cli.validation.cases import custody, handing, matching, reading

CASES: tuple[Assertion, ...] = tuple(
    sorted(
        (*reading.CASES, *custody.CASES, *matching.CASES, *handing.CASES),
        key=lambda one: tuple(int(part) for part in one.number.removeprefix("R").split(".")),
    )
)
