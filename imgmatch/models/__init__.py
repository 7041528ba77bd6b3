"""The networks that turn pictures into vectors, by name. Importing this loads none of them."""

from imgmatch.models.adding import add_model
from imgmatch.models.base import Embedder
from imgmatch.models.loading import load_model
from imgmatch.models.table import (
    DEFAULT_MODEL,
    MODELS,
    OPTIONAL,
    has_weights,
    list_models,
    model_spec,
    verify_model,
    weights_path,
)

__all__ = [
    "DEFAULT_MODEL",
    "MODELS",
    "OPTIONAL",
    "Embedder",
    "add_model",
    "has_weights",
    "list_models",
    "load_model",
    "model_spec",
    "verify_model",
    "weights_path",
]
