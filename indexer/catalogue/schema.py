"""The tables of a case, one script a format version; a script that has shipped never changes."""

from __future__ import annotations

# One script a format version, applied in order; a script that has shipped never changes.
MIGRATIONS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID;
    CREATE TABLE models (
        model_id INTEGER PRIMARY KEY,
        name TEXT NOT NULL,
        weights_sha256 TEXT NOT NULL,
        dim INTEGER NOT NULL,
        spec_json TEXT NOT NULL,
        added_utc TEXT NOT NULL,
        UNIQUE (name, weights_sha256)
    ) STRICT;
    CREATE TABLE runs (
        run_id INTEGER PRIMARY KEY,
        command TEXT NOT NULL,
        version TEXT NOT NULL,
        runtime TEXT NOT NULL,
        arguments_json TEXT NOT NULL,
        started_utc TEXT NOT NULL,
        finished_utc TEXT,
        counts_json TEXT
    ) STRICT;
    CREATE TABLE items (
        item_id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        md5 BLOB NOT NULL,
        size_bytes INTEGER NOT NULL,
        format TEXT NOT NULL,
        width_px INTEGER NOT NULL,
        height_px INTEGER NOT NULL,
        orientation INTEGER NOT NULL,
        partial TEXT
    ) STRICT;
    CREATE TABLE sightings (
        sighting_id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items,
        locator TEXT NOT NULL,
        modified_utc TEXT,
        modified_ns INTEGER,
        changed_ns INTEGER,
        seen_utc TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES runs,
        UNIQUE (locator, item_id)
    ) STRICT;
    CREATE INDEX sightings_by_item ON sightings (item_id);
    CREATE TABLE labels (
        item_id INTEGER NOT NULL REFERENCES items,
        source TEXT NOT NULL,
        name TEXT NOT NULL,
        value TEXT NOT NULL,
        PRIMARY KEY (item_id, source, name)
    ) STRICT, WITHOUT ROWID;
    CREATE TABLE issues (
        issue_id INTEGER PRIMARY KEY,
        locator TEXT NOT NULL UNIQUE,
        stage TEXT NOT NULL,
        error TEXT NOT NULL,
        message TEXT NOT NULL,
        sha256 BLOB,
        size_bytes INTEGER,
        modified_ns INTEGER,
        changed_ns INTEGER,
        seen_utc TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES runs
    ) STRICT;
    CREATE TABLE segments (
        segment_id INTEGER PRIMARY KEY,
        model_id INTEGER NOT NULL REFERENCES models,
        name TEXT NOT NULL UNIQUE,
        first_vector_id INTEGER NOT NULL UNIQUE,
        rows INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        written_utc TEXT NOT NULL
    ) STRICT;
    -- Row r of a segment is vector first_vector_id + r. A region is null for the whole picture.
    CREATE TABLE vectors (
        vector_id INTEGER PRIMARY KEY,
        item_id INTEGER NOT NULL REFERENCES items,
        model_id INTEGER NOT NULL REFERENCES models,
        x_px INTEGER, y_px INTEGER, width_px INTEGER, height_px INTEGER
    ) STRICT;
    CREATE INDEX vectors_by_item ON vectors (item_id, model_id);
    """,
    """
    -- Counters that only grow, so that no number is given twice: segments, generations, vectors, items; deletions.
    CREATE TABLE state (key TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
    INSERT INTO state SELECT 'segments', count(*) FROM segments;
    INSERT INTO state VALUES ('generations', 0), ('deletions', 0), ('items', 0), ('vectors', 0);
    -- Little-endian int64 ids of a segment's rows, ascending; null where they are first_vector_id + row.
    ALTER TABLE segments ADD COLUMN ids BLOB;
    -- Rows of segments that belong to nothing any more: no search returns them, compact removes them.
    CREATE TABLE tombstones (
        vector_id INTEGER PRIMARY KEY,
        model_id INTEGER NOT NULL REFERENCES models
    ) STRICT;
    -- The index of each model that is in use: a folder below indexes/, and the hash of its manifest.
    CREATE TABLE generations (
        model_id INTEGER PRIMARY KEY REFERENCES models,
        name TEXT NOT NULL,
        manifest_sha256 TEXT NOT NULL,
        made_utc TEXT NOT NULL
    ) STRICT;
    -- Segment files whose hash was right when they had this size, these times and this place on the disk.
    CREATE TABLE verified (name TEXT PRIMARY KEY, stamp TEXT NOT NULL) STRICT, WITHOUT ROWID;
    -- How far another case has been merged: a run can go on where the last one stopped.
    CREATE TABLE merges (
        case_id TEXT PRIMARY KEY,
        run_id INTEGER NOT NULL REFERENCES runs,
        item_id INTEGER NOT NULL
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- How thoroughly a model has read an item. An item without a row has its whole picture's vector only.
    CREATE TABLE profiles (
        item_id INTEGER NOT NULL REFERENCES items,
        model_id INTEGER NOT NULL REFERENCES models,
        profile TEXT NOT NULL,
        PRIMARY KEY (item_id, model_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- The scores of different pictures by a model: from which background, and how many items it was drawn from.
    CREATE TABLE calibrations (
        model_id INTEGER PRIMARY KEY REFERENCES models,
        background TEXT NOT NULL,
        items INTEGER NOT NULL,
        calibration_json TEXT NOT NULL,
        made_utc TEXT NOT NULL
    ) STRICT;
    -- What examiners said of pairs of contents; rows are only ever added, the newest of a pair stands.
    CREATE TABLE decisions (
        decision_id INTEGER PRIMARY KEY,
        query_sha256 BLOB NOT NULL,
        item_sha256 BLOB NOT NULL,
        verdict TEXT NOT NULL CHECK (verdict IN ('confirmed', 'rejected')),
        note TEXT NOT NULL,
        examiner TEXT NOT NULL,
        account TEXT NOT NULL,
        decided_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX decisions_by_query ON decisions (query_sha256);
    CREATE INDEX decisions_by_item ON decisions (item_sha256);
    CREATE TRIGGER decisions_are_not_changed BEFORE UPDATE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
    CREATE TRIGGER decisions_are_not_deleted BEFORE DELETE ON decisions
        BEGIN SELECT RAISE(ABORT, 'decisions are only added'); END;
    """,
    """
    -- Collections on a Milvus server that hold this case's vectors: the one in use ('current'), the one that a move
    -- fills ('coming'), and the one that it has left but not yet emptied ('leaving'). Never a token.
    CREATE TABLE remotes (
        role TEXT PRIMARY KEY CHECK (role IN ('current', 'coming', 'leaving')),
        uri TEXT NOT NULL,
        collection TEXT NOT NULL,
        namespace TEXT NOT NULL
    ) STRICT, WITHOUT ROWID;
    -- Up to which vector id a model's rows have certainly been sent there.
    CREATE TABLE sent (
        namespace TEXT NOT NULL,
        model_id INTEGER NOT NULL REFERENCES models,
        vector_id INTEGER NOT NULL,
        PRIMARY KEY (namespace, model_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- For hash lists that know nothing newer; null for items of older formats.
    ALTER TABLE items ADD COLUMN sha1 BLOB;
    """,
    """
    -- Imported lists of known files: 'ignore', 'known' or 'alert'. An id is never given twice.
    CREATE TABLE hash_lists (
        list_id INTEGER PRIMARY KEY AUTOINCREMENT,
        name TEXT NOT NULL UNIQUE,
        kind TEXT NOT NULL CHECK (kind IN ('ignore', 'known', 'alert')),
        format TEXT NOT NULL,
        hashes INTEGER NOT NULL DEFAULT 0,
        malformed INTEGER NOT NULL DEFAULT 0,
        source TEXT NOT NULL,
        sha256 BLOB NOT NULL,
        imported_utc TEXT NOT NULL,
        -- Of PDQ lists: within how many bits they match, and up to which number of pdqs they have been compared.
        distance INTEGER,
        matched_to INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE list_pdqs (
        list_id INTEGER NOT NULL REFERENCES hash_lists,
        hash BLOB NOT NULL,
        quality INTEGER,
        category TEXT,
        PRIMARY KEY (list_id, hash)
    ) STRICT, WITHOUT ROWID;
    -- Of each entry the strongest digest that its list gives: 16 bytes MD5, 20 SHA-1, 32 SHA-256.
    CREATE TABLE list_hashes (
        list_id INTEGER NOT NULL REFERENCES hash_lists,
        digest BLOB NOT NULL,
        category TEXT,
        PRIMARY KEY (list_id, digest)
    ) STRICT, WITHOUT ROWID;
    -- Files that a list names and that are no items: left out by it (ignored), or unusable. The list may be gone.
    CREATE TABLE listed_files (
        file_id INTEGER PRIMARY KEY,
        locator TEXT NOT NULL,
        sha256 BLOB NOT NULL,
        sha1 BLOB NOT NULL,
        md5 BLOB NOT NULL,
        size_bytes INTEGER NOT NULL,
        modified_utc TEXT,
        modified_ns INTEGER,
        changed_ns INTEGER,
        ignored INTEGER NOT NULL,
        list_id INTEGER NOT NULL,
        list TEXT NOT NULL,
        kind TEXT NOT NULL,
        category TEXT,
        by TEXT NOT NULL,
        seen_utc TEXT NOT NULL,
        run_id INTEGER NOT NULL REFERENCES runs,
        UNIQUE (locator, sha256, list_id)
    ) STRICT;
    -- Metadata of an item's file as JSON: name of a field to value, source and what was found (picture.metadata).
    CREATE TABLE metadata (item_id INTEGER PRIMARY KEY REFERENCES items, fields_json TEXT NOT NULL) STRICT;
    -- PDQ hashes, numbered as they came in; no number is given twice.
    CREATE TABLE pdqs (
        pdq_id INTEGER PRIMARY KEY AUTOINCREMENT,
        item_id INTEGER NOT NULL UNIQUE REFERENCES items,
        hash BLOB NOT NULL,
        quality INTEGER NOT NULL
    ) STRICT;
    -- Items within the distance of a PDQ list: how far its nearest entry is.
    CREATE TABLE pdq_matches (
        item_id INTEGER NOT NULL REFERENCES items,
        list_id INTEGER NOT NULL REFERENCES hash_lists,
        distance INTEGER NOT NULL,
        category TEXT,
        PRIMARY KEY (item_id, list_id)
    ) STRICT, WITHOUT ROWID;
    """,
    """
    -- Project VIC files that were imported, and their media records: typed what is searched by, and whole as JSON.
    CREATE TABLE vics_files (
        file_id INTEGER PRIMARY KEY,
        sha256 BLOB NOT NULL UNIQUE,
        name TEXT NOT NULL,
        version TEXT NOT NULL,
        header_json TEXT NOT NULL,
        media INTEGER NOT NULL,
        run_id INTEGER NOT NULL REFERENCES runs,
        imported_utc TEXT NOT NULL
    ) STRICT;
    CREATE TABLE vics_media (
        media_id INTEGER PRIMARY KEY,
        file_id INTEGER NOT NULL REFERENCES vics_files,
        number INTEGER NOT NULL,
        md5 BLOB,
        sha1 BLOB,
        category INTEGER,
        series TEXT,
        tags TEXT,
        record_json TEXT NOT NULL
    ) STRICT;
    CREATE INDEX vics_media_by_md5 ON vics_media (md5);
    CREATE INDEX vics_media_by_sha1 ON vics_media (sha1);
    -- What they say, as labels of a source of its own.
    CREATE VIEW vics_facts AS
        SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16) AS source,
            'vics_category' AS name, CAST(category AS TEXT) AS value
            FROM vics_media JOIN vics_files f USING (file_id) WHERE category IS NOT NULL
        UNION ALL
        SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16), 'vics_series', series
            FROM vics_media JOIN vics_files f USING (file_id) WHERE series IS NOT NULL
        UNION ALL
        SELECT media_id, file_id, md5, sha1, 'vics:' || substr(lower(hex(f.sha256)), 1, 16), 'vics_tags', tags
            FROM vics_media JOIN vics_files f USING (file_id) WHERE tags IS NOT NULL;
    -- Pictures that come after the file get its labels as they come, whichever way they come.
    CREATE TRIGGER vics_labels_new_items AFTER INSERT ON items BEGIN
        INSERT OR REPLACE INTO labels SELECT NEW.item_id, source, name, value FROM vics_facts
            WHERE md5 = NEW.md5 AND (sha1 IS NULL OR NEW.sha1 IS NULL OR sha1 = NEW.sha1) ORDER BY media_id;
        INSERT OR REPLACE INTO labels SELECT NEW.item_id, source, name, value FROM vics_facts
            WHERE md5 IS NULL AND sha1 = NEW.sha1 ORDER BY media_id;
    END;
    """,
    """
    -- The audit log's last entry, kept here too, so that a cut at the log's end shows; and entries that are decided on
    -- but perhaps not yet in its file. One row, or none until an older case's log is added to.
    CREATE TABLE audit_head (
        only INTEGER PRIMARY KEY CHECK (only = 1),
        entry INTEGER NOT NULL,
        sha256 TEXT NOT NULL,
        settled_bytes INTEGER NOT NULL,
        waiting BLOB NOT NULL
    ) STRICT;
    -- Known content that a later run has read again at the same place: how often, and when last.
    CREATE TABLE rereads (
        run_id INTEGER NOT NULL REFERENCES runs,
        sighting_id INTEGER NOT NULL REFERENCES sightings,
        times INTEGER NOT NULL,
        read_utc TEXT NOT NULL,
        PRIMARY KEY (run_id, sighting_id)
    ) STRICT, WITHOUT ROWID;
    CREATE INDEX rereads_by_sighting ON rereads (sighting_id);
    CREATE INDEX sightings_by_run ON sightings (run_id);
    CREATE INDEX issues_by_run ON issues (run_id);
    -- Issues that a later reading has settled or replaced: what a run could not use stays known.
    CREATE TABLE past_issues (
        run_id INTEGER NOT NULL REFERENCES runs,
        locator TEXT NOT NULL,
        stage TEXT NOT NULL,
        error TEXT NOT NULL,
        message TEXT NOT NULL,
        sha256 BLOB,
        size_bytes INTEGER,
        seen_utc TEXT NOT NULL
    ) STRICT;
    CREATE INDEX past_issues_by_run ON past_issues (run_id);
    CREATE INDEX past_issues_by_place ON past_issues (locator);
    """,
)
