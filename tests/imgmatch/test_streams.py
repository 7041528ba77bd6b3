"""Streams that threads share."""

import threading

from imgmatch.limits import SourceLimits
from imgmatch.streams import LOCK, Spool


def test_what_is_thrown_away_by_a_thread_that_is_waited_for_waits_for_nothing():
    kept = [Spool(SourceLimits())]
    kept[0].write(b"x")
    thread = threading.Thread(target=kept.clear, daemon=True)
    with LOCK:  # as whoever reads does while a process is started by another thread, which collects garbage
        thread.start()
        thread.join(10)
        assert not thread.is_alive()
