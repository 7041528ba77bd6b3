"""What an encrypted case is made of: keys, the ring that gives them to people, sealed files, memory."""
