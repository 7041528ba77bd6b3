"""Making and judging models: rendered rooms, training, evaluation, alterations. No search needs any of it."""
