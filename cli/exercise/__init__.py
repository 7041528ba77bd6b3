"""The exercise: a story, questions, a sheet for answers, and what is right."""
