"""A laboratory's search service: cases held open for people with tokens, asked as JSON over HTTPS; and who asks it."""
