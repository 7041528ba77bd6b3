"""Manifests and calibrations that somebody changed who could also change the catalogue: one line, no traceback."""

import hashlib
import json
import sqlite3
from contextlib import closing

import numpy as np
import pytest

from imgmatch.errors import CaseError
from indexer.care.indexing import BuildConfig, build
from indexer.case.case import CATALOGUE, Case
from indexer.index.open import CaseIndex
from indexer.search.background import background, set_background
from tests.indexer.vectors import SPEC, add, clouds

_DEEP = "[" * 50_000


@pytest.mark.claim("L13")
def test_what_was_changed_is_one_line(tmp_path):
    queries = clouds(1, 4)
    with Case.create(tmp_path / "case", model=SPEC) as case:
        add(case, np.concatenate([clouds(0, 300), queries]))
        expected = CaseIndex(case.shelf(SPEC)).search(queries, 1)[1]
        build(case, SPEC, BuildConfig("ivf", jobs=1))
        set_background(case, SPEC)
        (path,) = case.path.glob("indexes/*/*/manifest.json")
        known = json.loads(path.read_bytes())
        stored = case.shelf(SPEC).calibration().record

    def write(sql, value):
        with closing(sqlite3.connect(tmp_path / "case" / CATALOGUE)) as db:
            db.execute(sql, (value,))
            db.commit()

    for change in ({"nprobe": 0}, {"candidates": "x"}, {"coverage": [[0, 1 << 60]]}, {"coverage": 5}, {"format": []},
                   {"file": "../../a"}, {"kind": "other"}, {"rows": None}):  # fmt: skip
        path.write_text(json.dumps({**known, **change}))
        write("UPDATE generations SET manifest_sha256 = ?", hashlib.sha256(path.read_bytes()).hexdigest())
        said = []
        with Case.open(tmp_path / "case") as case:
            assert (CaseIndex(case.shelf(SPEC), said.append).search(queries, 1)[1] == expected).all()
        assert len(said) == 1, change
        assert "manifest" in said[0]
        assert "\n" not in said[0]
    for text in (_DEEP, "[]", "7", "{", json.dumps({**stored, "pictures": "x"}), json.dumps({**stored, "rates": [1.0]}),
                 json.dumps({**stored, "thresholds": []}), json.dumps({**stored, "bound": {}})):  # fmt: skip
        write("UPDATE calibrations SET calibration_json = ?", text)
        with Case.open(tmp_path / "case") as case, pytest.raises(CaseError, match="is damaged") as refused:
            background(case, SPEC)
        assert "\n" not in str(refused.value)
