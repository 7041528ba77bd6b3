"""Training and export of models: the only place that needs torch at import."""
