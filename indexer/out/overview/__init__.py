"""The overview of cases: which places, telephones, advertisements, accounts and cameras are tied by which matches."""
