"""Scenes as Blender has them: meshes, models, materials, lights. Imported only in the process that renders.

Blender's Python module `bpy` is GPL-3: a tool that makes pictures, needed by nobody who searches.
"""

from __future__ import annotations

import importlib
import importlib.util
import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from imgmatch.errors import ImgmatchError
from imgmatch.lab.hotels.finishes import pixels
from imgmatch.lab.hotels.meshes import SHAPES
from imgmatch.lab.hotels.recolour import recoloured

if TYPE_CHECKING:
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue, Model
    from imgmatch.lab.hotels.scene import RGB, Finish, Light, Thing


def require_blender() -> None:
    """Raise an ImgmatchError that says what to install where Blender is not there as a Python module."""
    if importlib.util.find_spec("bpy") is None:
        raise ImgmatchError(
            "rendering needs Blender as a Python module, on Python 3.11: pip install --no-deps 'bpy==4.5.*'"
        )


def blender(module: str = "bpy") -> Any:
    """Import Blender, or one of the modules that come with it. Raises ImgmatchError where it is not installed."""
    require_blender()
    return importlib.import_module(module)


def linear(colour: RGB) -> tuple[float, float, float, float]:
    """Return an sRGB colour 0..255 as Blender counts it: linear, 0..1, with an alpha of 1."""
    red, green, blue = (
        (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4) for c in (v / 255 for v in colour)
    )
    return red, green, blue, 1.0


class Studio:
    """One hotel's materials and models in Blender, and the scene that stands there at the moment."""

    def __init__(self, design: Design, catalogue: Catalogue) -> None:
        self.bpy: Any = blender()
        self.design = design
        self.catalogue = catalogue
        self.bpy.ops.wm.read_factory_settings(use_empty=True)
        self._materials: dict[Finish, Any] = {}
        self._models: dict[str, tuple[Any, tuple[float, float, float]]] = {}
        self._meshes: dict[Thing, Any] = {}
        self._objects: list[Any] = []

    @property
    def scene(self) -> Any:
        """Blender's scene."""
        return self.bpy.context.scene

    def clear(self) -> None:
        """Take everything out of the scene; materials and models stay for the next."""
        for thing in self._objects:
            data = thing.data
            self.bpy.data.objects.remove(thing)
            if data is not None and not data.users and not getattr(data, "use_fake_user", False):
                self.bpy.data.batch_remove([data])
        self._objects.clear()
        self._meshes.clear()

    def remove(self, objects: list[Any]) -> None:
        """Take some objects out again."""
        for thing in objects:
            self._objects.remove(thing)
            self.bpy.data.objects.remove(thing)

    def add(self, thing: Thing, number: int) -> Any:
        """Put a thing into the scene as instance ``number``."""
        if thing.shape == "model":
            mesh, size = self._model(thing.model)
            scale = [want / have for want, have in zip(thing.size, size, strict=True)]
        else:
            mesh, scale = self._mesh(thing), [1.0, 1.0, 1.0]
        made = self.bpy.data.objects.new(thing.name, mesh)
        made.location, made.scale = thing.at, scale
        made.rotation_euler = (0, 0, thing.turn)
        made.pass_index = number
        if not thing.shadow:
            made.visible_shadow = False
        if thing.role == "outside":
            made.visible_diffuse = False
        self.scene.collection.objects.link(made)
        self._objects.append(made)
        return made

    def light(self, light: Light) -> None:
        """Hang a light."""
        mathutils = blender("mathutils")
        kind = {"point": "POINT", "area": "AREA", "portal": "AREA", "sun": "SUN"}[light.kind]
        data = self.bpy.data.lights.new("light", kind)
        data.energy = light.power
        data.color = linear(light.colour)[:3]
        if kind == "AREA":
            data.shape, data.size, data.size_y = "RECTANGLE", *light.size
            data.cycles.is_portal = light.kind == "portal"
        elif kind == "SUN":
            data.angle = light.size[0]
        else:
            data.shadow_soft_size = light.size[0]
        made = self.bpy.data.objects.new("light", data)
        made.location = light.at
        made.rotation_euler = mathutils.Vector(light.to).to_track_quat("-Z", "Y").to_euler()
        self.scene.collection.objects.link(made)
        self._objects.append(made)

    def sky(self, colour: RGB, power: float) -> None:
        """Set what the sky shines with."""
        if self.scene.world is None:
            self.scene.world = self.bpy.data.worlds.new("sky")
            self.scene.world.use_nodes = True
        inputs = self.scene.world.node_tree.nodes["Background"].inputs
        inputs[0].default_value, inputs[1].default_value = linear(colour), power

    def _mesh(self, thing: Thing) -> Any:
        # Instances share a mesh when they differ in place and name alone.
        key = replace(thing, name="", at=(0, 0, 0), turn=0.0, role="", movable=False)
        if key in self._meshes:
            return self._meshes[key]
        shape = SHAPES[thing.shape](thing)
        mesh = self.bpy.data.meshes.new(thing.shape)
        mesh.from_pydata(shape.vertices.tolist(), [], [list(face) for face in shape.faces])
        layer = mesh.uv_layers.new(name="uv")
        corners = np.empty(len(mesh.loops), np.int32)
        mesh.loops.foreach_get("vertex_index", corners)
        layer.data.foreach_set("uv", shape.uv[corners].astype(np.float32).ravel())
        if shape.smooth:
            mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
        for finish in thing.finishes:
            mesh.materials.append(self.material(finish, boxed=shape.boxed))
        if shape.parts:
            mesh.polygons.foreach_set("material_index", list(shape.parts))
        mesh.update()
        self._meshes[key] = mesh
        return mesh

    def material(self, finish: Finish, boxed: bool) -> Any:
        """Return the material of a finish, its texture projected from six sides or along the mesh's coordinates."""
        # The way of projection is part of the key by way of the size's sign, which no finish uses.
        key = replace(finish, size_m=-finish.size_m - 1) if boxed else finish
        if key in self._materials:
            return self._materials[key]
        material = self.bpy.data.materials.new(finish.kind)
        material.use_nodes = True
        nodes, links = material.node_tree.nodes, material.node_tree.links
        shader = nodes["Principled BSDF"]
        shader.inputs["Roughness"].default_value = finish.roughness
        shader.inputs["Metallic"].default_value = finish.metallic
        shader.inputs["Base Color"].default_value = linear(finish.colour)
        shader.inputs["Emission Strength"].default_value = finish.glow
        shader.inputs["Emission Color"].default_value = linear(finish.colour)
        shader.inputs["Alpha"].default_value = finish.alpha
        sheet = pixels(finish)
        if sheet is not None:
            picture = nodes.new("ShaderNodeTexImage")
            picture.image = self._image(finish.kind, sheet)
            self._project(nodes, links, picture, finish, boxed)
            links.new(picture.outputs["Color"], shader.inputs["Base Color"])
            links.new(picture.outputs["Color"], shader.inputs["Emission Color"])
            if sheet.shape[2] == 4:
                links.new(picture.outputs["Alpha"], shader.inputs["Alpha"])
        self._materials[key] = material
        return material

    def _image(self, name: str, sheet: np.ndarray) -> Any:
        rows, cols, planes = sheet.shape
        image = self.bpy.data.images.new(name, cols, rows, alpha=planes == 4)
        whole = np.full((rows, cols, 4), 255, np.uint8)
        whole[..., :planes] = sheet
        # Blender counts rows from below.
        image.pixels.foreach_set((whole[::-1].astype(np.float32) / 255).ravel())
        image.update()
        return image

    def _project(self, nodes: Any, links: Any, picture: Any, finish: Finish, boxed: bool) -> None:
        if not finish.size_m:
            picture.extension = "EXTEND"
            return
        coordinates, mapping = nodes.new("ShaderNodeTexCoord"), nodes.new("ShaderNodeMapping")
        mapping.inputs["Scale"].default_value = (1 / finish.size_m,) * 3
        links.new(coordinates.outputs["Object" if boxed else "UV"], mapping.inputs["Vector"])
        links.new(mapping.outputs["Vector"], picture.inputs["Vector"])
        if boxed:
            picture.projection, picture.projection_blend = "BOX", 0.15

    def _model(self, key: str) -> tuple[Any, tuple[float, float, float]]:
        if key not in self._models:
            self._models[key] = self._load(self.catalogue[key])
        return self._models[key]

    def _load(self, model: Model) -> tuple[Any, tuple[float, float, float]]:
        """Import a model as one mesh that stands on z = 0 around the z axis, and say how large it is."""
        mathutils = blender("mathutils")
        bpy = self.bpy
        before = set(bpy.data.objects)
        bpy.ops.wm.obj_import(filepath=str(model.path), forward_axis="NEGATIVE_Z", up_axis="Y")
        parts = [thing for thing in bpy.data.objects if thing not in before]
        if not parts:
            raise ImgmatchError(f"Blender read nothing from {model.path}")
        turn = mathutils.Matrix.Identity(4)
        if model.rotation:
            # The catalogue's rotation is in the model's own axes, y up.
            stand = mathutils.Matrix.Rotation(math.pi / 2, 4, "X")
            rows = [model.rotation[i : i + 3] for i in (0, 3, 6)]
            turn = stand @ mathutils.Matrix(rows).to_4x4() @ stand.inverted()
        for part in parts:
            part.data.transform(turn @ part.matrix_world)
            part.matrix_world = mathutils.Matrix.Identity(4)
        with bpy.context.temp_override(active_object=parts[0], selected_editable_objects=parts, selected_objects=parts):
            bpy.ops.object.join()
        mesh = parts[0].data
        _smoothed(mesh)
        corners = np.empty(len(mesh.vertices) * 3, np.float32)
        mesh.vertices.foreach_get("co", corners)
        at = corners.reshape(-1, 3)
        low, high = at.min(axis=0), at.max(axis=0)
        mesh.vertices.foreach_set("co", (at - [(low[0] + high[0]) / 2, (low[1] + high[1]) / 2, low[2]]).ravel())
        mesh.update()
        mesh.use_fake_user = True
        bpy.data.objects.remove(parts[0])
        recoloured(self.design, mesh, model.key, lambda finish: self.material(finish, boxed=True))
        width, depth, height = (float(max(value, 1e-4)) for value in high - low)
        return mesh, (width, depth, height)


def _smoothed(mesh: Any) -> None:
    """Turn a model's faces outwards and shade it smooth: many have each face twice, once from either side."""
    bmesh = blender("bmesh")
    work = bmesh.new()
    work.from_mesh(mesh)
    bmesh.ops.recalc_face_normals(work, faces=work.faces)
    work.to_mesh(mesh)
    work.free()
    if "custom_normal" in mesh.attributes:
        mesh.attributes.remove(mesh.attributes["custom_normal"])
    mesh.polygons.foreach_set("use_smooth", [True] * len(mesh.polygons))
    mesh.set_sharp_from_angle(angle=math.radians(40))
