"""Rendering by Blender's Cycles: linear colour, depth and instance numbers of a view."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from imgmatch.lab.hotels.blender import Studio, blender, linear

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from types import TracebackType

    import numpy.typing as npt

    from imgmatch.lab.hotels.camera import Camera
    from imgmatch.lab.hotels.design import Design
    from imgmatch.lab.hotels.models import Catalogue
    from imgmatch.lab.hotels.scene import Scene, Thing


class View(NamedTuple):
    """One rendered view: linear light (rows, cols, 3) float32, depth along the axis in metres float16, ids uint16."""

    light: npt.NDArray[np.float32]
    depth: npt.NDArray[np.float16]
    ids: npt.NDArray[np.uint16]


class Renderer:
    """Renders the views of one hotel, one scene after the other. Use as a context: it has a folder for exchange."""

    def __init__(self, design: Design, catalogue: Catalogue, samples: int = 8, threads: int = 1) -> None:
        self.design, self.catalogue = design, catalogue
        self._studio = Studio(design, catalogue)
        self._folder = tempfile.TemporaryDirectory(prefix="imgmatch-render-")
        self._numbers: Mapping[str, int] = {}
        self._settings(samples, threads)

    def __enter__(self) -> Renderer:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._folder.cleanup()

    def _settings(self, samples: int, threads: int) -> None:
        scene = self._studio.scene
        render, cycles = scene.render, scene.cycles
        render.engine = "CYCLES"
        cycles.device, cycles.samples, cycles.seed = "CPU", samples, 1
        cycles.use_adaptive_sampling = False
        cycles.use_denoising, cycles.denoiser = True, "OPENIMAGEDENOISE"
        cycles.max_bounces, cycles.diffuse_bounces, cycles.glossy_bounces = 5, 3, 3
        cycles.transparent_max_bounces = 6
        cycles.caustics_reflective = cycles.caustics_refractive = False
        cycles.sample_clamp_indirect = 3.0
        render.threads_mode, render.threads = "FIXED", threads
        render.use_persistent_data = True
        render.resolution_percentage = 100
        render.film_transparent = False
        layer = scene.view_layers[0]
        layer.use_pass_z = layer.use_pass_object_index = True
        scene.use_nodes = True
        nodes, links = scene.node_tree.nodes, scene.node_tree.links
        nodes.clear()
        source = nodes.new("CompositorNodeRLayers")
        both = nodes.new("CompositorNodeCombineColor")
        out = nodes.new("CompositorNodeOutputFile")
        out.base_path = self._folder.name
        out.format.file_format, out.format.color_depth, out.format.exr_codec = "OPEN_EXR", "32", "NONE"
        out.file_slots.clear()
        for slot in ("light", "data"):
            out.file_slots.new(slot)
        links.new(source.outputs["Image"], out.inputs[0])
        links.new(source.outputs["Depth"], both.inputs[0])
        links.new(source.outputs["IndexOB"], both.inputs[1])
        links.new(both.outputs[0], out.inputs[1])

    def build(self, scene: Scene, numbers: Mapping[str, int]) -> None:
        """Set up a scene; ``numbers`` are the instance numbers of the names of its things."""
        self._numbers = numbers
        self._studio.clear()
        for thing in scene.things:
            if thing.shape == "space":
                continue
            self._studio.add(thing, numbers[thing.name])
        for light in scene.lights:
            self._studio.light(light)
        self._studio.sky(scene.sky, scene.sky_power)

    def render(self, camera: Camera, people: Sequence[Thing], flash: float) -> View:
        """Render what a camera sees of the scene with people in it; ``flash`` is the power of the phone's lamp."""
        mathutils = blender("mathutils")
        studio, bpy = self._studio, self._studio.bpy
        scene = studio.scene
        added = [studio.add(person, self._numbers[person.name]) for person in people]
        data = bpy.data.cameras.new("camera")
        eye = bpy.data.objects.new("camera", data)
        data.sensor_fit = "AUTO"
        data.angle = camera.field_of_view
        data.clip_start, data.clip_end = 0.02, 100.0
        pose = camera.pose()
        pose[:3, 1] *= -1
        pose[:3, 2] *= -1
        eye.matrix_world = mathutils.Matrix(pose.tolist())
        scene.collection.objects.link(eye)
        scene.camera = eye
        lamp = None
        if flash:
            lamp = bpy.data.objects.new("flash", bpy.data.lights.new("flash", "POINT"))
            lamp.data.energy, lamp.data.shadow_soft_size = flash, 0.01
            lamp.data.color = linear((255, 250, 240))[:3]
            lamp.location = np.array(camera.at) + camera.rotation() @ (0.012, -0.02, 0.0)
            scene.collection.objects.link(lamp)
        scene.render.resolution_x, scene.render.resolution_y = camera.width, camera.height
        bpy.ops.render.render(write_still=False)
        light, both = self._read("light"), self._read("data")
        bpy.data.objects.remove(eye)
        bpy.data.cameras.remove(data)
        if lamp is not None:
            data = lamp.data
            bpy.data.objects.remove(lamp)
            bpy.data.lights.remove(data)
        studio.remove(added)
        depth = np.minimum(both[..., 0], 1000).astype(np.float16)
        return View(np.ascontiguousarray(light[..., :3]), depth, np.rint(both[..., 1]).astype(np.uint16))

    def _read(self, slot: str) -> npt.NDArray[np.float32]:
        """Read one of the files that Blender's compositor wrote, as (rows, cols, 4)."""
        path = next(Path(self._folder.name).glob(f"{slot}*.exr"))
        image = self._studio.bpy.data.images.load(str(path))
        cols, rows = image.size
        values = np.empty(rows * cols * 4, np.float32)
        image.pixels.foreach_get(values)
        self._studio.bpy.data.images.remove(image)
        path.unlink()
        return values.reshape(rows, cols, 4)[::-1]
