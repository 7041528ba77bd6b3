"""Readers of volumes: file systems beside The Sleuth Kit's, volumes that are encrypted, and logical volumes."""
