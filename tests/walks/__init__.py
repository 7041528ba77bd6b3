"""What people do with imgmatch from beginning to end, as they would: by the commands alone, and what they print."""
