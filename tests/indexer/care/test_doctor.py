"""What is installed, and whether this machine can do the work."""

from indexer.care.doctor import examine


def test_every_extra_says_what_it_brings():
    extras = {found.what: found.says for found in examine(None) if found.what.startswith("extra ")}
    assert {"extra forensic", "extra vault", "extra faces"} <= set(extras)
    assert [what for what, says in extras.items() if not says or says.startswith(":")] == []
