"""What leaves a case: reports, exchange formats, all that is known of an item."""
