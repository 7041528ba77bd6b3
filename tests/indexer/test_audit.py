import json
import random

import pytest

from imgmatch.errors import CaseError
from indexer import audit


@pytest.fixture
def log(tmp_path):
    path = tmp_path / "audit.jsonl"
    for number in range(20):
        audit.append(path, "search", {"query": f"file:/q{number}.jpg", "k": number, "note": "ä" * (number * 500)})
    return path


def test_an_untouched_log_has_no_fault_and_says_who_and_when(log):
    assert audit.verify(log) == []
    entries = [json.loads(line) for line in log.read_text().splitlines()]
    assert [entry["entry"] for entry in entries] == list(range(1, 21))
    assert all(entry["actor"] and entry["time_utc"].endswith("Z") and entry["version"] for entry in entries)


@pytest.mark.parametrize("seed", range(30))
def test_any_edit_cut_swap_or_copy_is_found(log, seed):
    rng = random.Random(seed)
    lines = log.read_bytes().splitlines(keepends=True)
    at = rng.randrange(len(lines) - 1)
    match rng.choice(["edit", "cut", "swap", "double", "tear"]):
        case "edit":
            lines[at] = lines[at].replace(b'"actor": "', b'"actor": "x', 1)
        case "cut":
            del lines[at]
        case "swap":
            lines[at], lines[at + 1] = lines[at + 1], lines[at]
        case "double":
            lines.insert(at, lines[at])
        case "tear":
            lines[-1] = lines[-1][: len(lines[-1]) // 2]
    log.write_bytes(b"".join(lines))
    assert audit.verify(log)


def test_a_torn_end_is_not_written_over(log):
    log.write_bytes(log.read_bytes()[:-10])
    with pytest.raises(CaseError, match="last entry is damaged"):
        audit.append(log, "search", {})


def test_a_missing_log_is_a_fault(tmp_path):
    assert "missing" in audit.verify(tmp_path / "audit.jsonl")[0]
