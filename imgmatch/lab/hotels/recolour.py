"""Models in a hotel's own colours: the largest plain surfaces of a piece get its woods and textiles."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.lab.hotels.design import generator
from imgmatch.lab.hotels.models import role_keys
from imgmatch.lab.hotels.textures import hsv

if TYPE_CHECKING:
    from collections.abc import Callable

    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.scene import Finish

CLOTHS = {
    "chair": ("wood", "upholstery"),
    "office chair": ("upholstery", "metal"),
    "armchair": ("upholstery", "wood"),
    "sofa": ("upholstery", "wood"),
    "coffee table": ("wood", "wood two"),
    "nightstand": ("wood", "wood two"),
    "cupboard": ("wood", "wood two"),
    "vanity": ("counter", "wood"),
    "table lamp": ("shade", "lamp foot"),
    "towel": ("towel", "metal"),
}
"""The finishes that the largest and the second largest plain surface of a role's models take."""
_KEPT = "standing,sitting,on the ground,lying,plant,small plant,toilet,washbasin,bath,shower,exit sign,extinguisher"
KEPT = (*_KEPT.split(","), "radiator", "brush", "toilet paper", "phone", "air conditioner")
"""Roles whose models keep their own colours."""


def recoloured(design: Design, mesh: Any, key: str, material_of: Callable[[Finish], Any]) -> None:
    """Change a model's materials in place: missing textures away, plain surfaces in the hotel's finishes."""
    rng = generator(design.seed, "recolour", sum(key.encode()))
    roles = [role for role in (*CLOTHS, *KEPT) if key in role_keys(role)]
    slots = np.empty(len(mesh.polygons), np.int32)
    areas = np.empty(len(mesh.polygons), np.float32)
    mesh.polygons.foreach_get("material_index", slots)
    mesh.polygons.foreach_get("area", areas)
    sizes = np.bincount(slots, areas, minlength=max(1, len(mesh.materials)))
    order = [int(slot) for slot in np.argsort(-sizes, kind="stable")]
    cloths = next((CLOTHS[role] for role in roles if role in CLOTHS), ())
    dressed = 0
    if not len(mesh.materials):
        mesh.materials.append(material_of(design.finishes["wood"]))
        return
    for slot in order:
        material = mesh.materials[slot]
        textured = _clean(material, rng)
        if any(role in KEPT for role in roles):
            continue
        # Textured surfaces are left to their model in half of the hotels, see-through ones always.
        if _clear(material) or (textured and (rng.random() < 0.5 or not cloths)):
            continue
        if dressed < len(cloths) and sizes[slot] > 0.1 * sizes.sum():
            mesh.materials[slot] = material_of(design.finishes[cloths[dressed]])
            dressed += 1
        elif not textured and rng.random() < 0.4:
            _tint(material, rng)


def _shader(material: Any) -> Any:
    if material is None or not material.use_nodes:
        return None
    return next((node for node in material.node_tree.nodes if node.type == "BSDF_PRINCIPLED"), None)


def _clean(material: Any, rng: np.random.Generator) -> bool:
    """Take out textures that were not found, and give their surface a colour; return whether a texture remains."""
    shader = _shader(material)
    if shader is None:
        return False
    left = False
    nodes = material.node_tree.nodes
    for node in [node for node in nodes if node.type == "TEX_IMAGE"]:
        if node.image is None or not node.image.size[0]:
            nodes.remove(node)
            tone = hsv(float(rng.random()), 0.25, float(rng.uniform(0.4, 0.85))) / 255
            shader.inputs["Base Color"].default_value = (*(float(value) for value in tone), 1.0)
        else:
            left = True
    # Old models shine like nothing in a hotel does.
    shader.inputs["Roughness"].default_value = max(shader.inputs["Roughness"].default_value, 0.25)
    return left


def _clear(material: Any) -> bool:
    shader = _shader(material)
    return shader is not None and (shader.inputs["Alpha"].default_value < 0.95 or shader.inputs["Alpha"].is_linked)


def _tint(material: Any, rng: np.random.Generator) -> None:
    shader = _shader(material)
    if shader is not None:
        tone = hsv(float(rng.random()), float(rng.uniform(0, 0.5)), float(rng.uniform(0.1, 0.9))) / 255
        shader.inputs["Base Color"].default_value = (*(float(value) for value in tone), 1.0)
