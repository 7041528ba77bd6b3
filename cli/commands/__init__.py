"""The commands, one module a family; what they import inside themselves is heavy."""
