"""What a person or a program is shown: results, progress, notes."""
