"""Options that belong together, each group with what makes an object of the library of it."""
