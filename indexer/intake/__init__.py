"""What comes into a case: pictures, labels, manifests, lists of known files."""
