"""Tasks of people, from the first command to what they hand on."""
