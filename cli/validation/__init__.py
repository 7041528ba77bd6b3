"""A laboratory's validation: stated requirements, cases that test them from outside, and a report to file."""
