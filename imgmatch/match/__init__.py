"""What two pictures have in common, and what it means: regions, features, geometry, rates of false matches."""
