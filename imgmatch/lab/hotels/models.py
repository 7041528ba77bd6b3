"""The catalogue of Debian's `sweethome3d-furniture`: which models there are, how large, whose, and what each is for."""

from __future__ import annotations

import re
import zipfile
from dataclasses import dataclass
from pathlib import Path

from imgmatch.errors import ImgmatchError

SOURCE = Path("/usr/share/sweethome3d/furniture")
CC0 = "BlendSwap-CC-0"
LICENCES = {
    CC0: "CC0-1.0",
    "BlendSwap-CC-BY": "CC-BY-3.0",
    "KatorLegaz": "CC-BY-3.0-US",
    "Reallusion": "CC-BY-3.0-US",
    "Scopia": "CC-BY-3.0",
}
"""Catalogues and the licence of their models; the LICENSE.TXT of each names the authors."""

ROLES: dict[str, str] = {
    "chair": "0:plasticChair 0:sillaBlanca 0:chair 0:antiqueChair 0:chair2 0:designChair 0:thonet 0:chairWithCushion "
    "0:oakChair 0:osakaChair B:cafe_set_mota_chair B:cafe_set_tonon_chair B:ella_chair_f B:plaidChair B:kitchenChair "
    "B:chair3 B:chair4 B:chairWithCushion S:chair3 S:chair4 S:chair S:plastic_chair S:white_kitchen_chair",
    "office chair": "0:armchair K:office-chair S:office_chair S:kids_desk_chair S:modern_armchair",
    "armchair": "0:armchair2 0:modernArmchair 0:winchesterArmchair B:armchair1 B:fotel B:leaf_chair B:armChair2 "
    "K:mid-century-chair K:chair-ottoman S:armchair3 S:armchair S:armchair2",
    "sofa": "0:sofa 0:couch 0:sofa2 0:winchesterSofa B:couch3 B:sofa2 B:sofa3 K:mid-century-sofa "
    "K:mid-century-bench-sofa S:burlap_sofa S:clear_sofa S:simple_sofa S:leather_sofa S:sofa_white_beige",
    "coffee table": "0:oakTable B:coffeeTable B:cafe_set_mota_table S:saloon_table S:table_wood_and_iron "
    "S:coffee-table2 S:living_room_table",
    "table lamp": "0:desklamp B:lamp S:table_lamp S:little_lamp1 S:little_lamp2 S:little_lamp3 K:pedestal-vase-lamp",
    "nightstand": "0:bedsideTable2 B:bedsideTable",
    "cupboard": "0:wardrobeWithSlidingDoors B:wardrobe B:wardrobe2 S:wardrobe1",
    "plant": "0:decorativePlant 0:plant 0:augalas 0:littlePlant B:decorativePlant B:mediumIndoorPlant B:spatifilum "
    "B:yuccaPlant S:ficus S:maceta",
    "small plant": "0:cactus 0:orchids 0:littlePlant B:luckyBamboo B:succulentPlant B:tulips S:bonsai-tree",
    "radiator": "0:radiator1 0:radiator 0:radiator3 B:modernRadiator",
    "kettle": "0:coffeeBrewer K:coffee-maker",
    "phone": "S:phone B:wirelessOfficePhone3",
    "luggage": "B:backpack B:suitcase 0:briefcase S:cardboard-box S:sneakers 0:slippers 0:bootie S:woman_shoes "
    "S:mocassin 0:handbag",
    "small things": "S:folded_clothes B:laptop S:tablet S:chapeau S:casquette B:book K:newspaper S:tv-remote-control "
    "0:headphones K:coffee-mug 0:plasticCup 0:yogurtBottle S:glasses S:com_bath3_toalla S:keys K:highball-glass",
    "toiletries": "0:cosmeticsPot 0:flacon S:com_bath S:com_bath2_soap S:com_bath2_jabon_pijo S:com_bath2_cepillo "
    "S:com_bath2_esponja S:medicoscopia_bottle2 0:plasticCup 0:comb",
    "toilet": "0:toiletsUnit B:toilets_unit_jay_hardy B:modernToilet",
    "washbasin": "0:washbasin B:washbasin_jay_hardy S:bathroom3 S:bathroom4 0:modernVanity",
    "vanity": "S:bathroom_vanity",
    "bath": "B:bath_jay_hardy S:islandBath",
    "bidet": "0:bidet",
    "shower": "0:shower K:showerHeadAndFaucet",
    "towel": "0:towel3 S:com_bath3 B:radiatorAndTowels B:bathroomRadiator",
    "toilet paper": "0:toiletPaperDispenser K:bathroom-tissue",
    "brush": "0:toiletBrush",
    "bin": "0:dustbin",
    "vase": "S:vase1 S:vase2 S:vase3 S:jar S:vase5",
    "air conditioner": "S:internal-unity-air-conditioning",
    "extinguisher": "0:fireExtinguisher",
    "exit sign": "0:emergencySign",
    "standing": "R:female01 R:female02 R:female03 R:holdingFemale01 R:holdingFemale02 R:holdingFemale03 "
    "R:holdingMale01 R:male01 R:male02 R:male03 K:male-01-suit S:mannequinBrunette S:mannequinMale",
    "sitting": "R:sitFemale03 R:sitMale01 R:sitMale02",
    "on the ground": "R:sitFemale01 R:sitFemale02 R:sitMale03",
    "lying": "R:lyingDownFemale01 R:lyingDownMale01 R:lyingDownMale02",
}
"""What each model is used for. All were looked at: what is broken or unlike a hotel is left out; people are adults."""

_SHORT = {"0": CC0, "B": "BlendSwap-CC-BY", "K": "KatorLegaz", "R": "Reallusion", "S": "Scopia"}


@dataclass(frozen=True)
class Model:
    """One model: its key (catalogue/name), OBJ file, (width, depth, height) in metres, rotation (9) or none."""

    key: str
    path: Path
    size: tuple[float, float, float]
    elevation: float
    rotation: tuple[float, ...]

    @property
    def licence(self) -> str:
        """The SPDX name of the licence of this model."""
        return LICENCES[self.key.split("/")[0]]


class Catalogue:
    """The models of an unpacked catalogue, by key and by role. Raises ImgmatchError where one is missing."""

    def __init__(self, folder: Path, only_cc0: bool = False) -> None:
        self.models: dict[str, Model] = {}
        for name in LICENCES if not only_cc0 else (CC0,):
            self.models |= {model.key: model for model in _read(folder / name, name)}
        self.only_cc0 = only_cc0

    def role(self, role: str) -> tuple[str, ...]:
        """Return the keys of the models for a role, perhaps none where only CC0 is asked for."""
        keys = role_keys(role, self.only_cc0)
        if missing := [key for key in keys if key not in self.models]:
            raise ImgmatchError(f"the furniture catalogue lacks {', '.join(missing)}")
        return keys

    def __getitem__(self, key: str) -> Model:
        return self.models[key]


def role_keys(role: str, only_cc0: bool = False) -> tuple[str, ...]:
    """Return the keys that ROLES names for a role."""
    named = (entry.split(":") for entry in ROLES[role].split())
    return tuple(f"{_SHORT[short]}/{name}" for short, name in named if short == "0" or not only_cc0)


def unpack(source: Path, folder: Path) -> None:
    """Unpack the catalogues' .sh3f files of ``source`` into ``folder``, once. Raises ImgmatchError."""
    for name in LICENCES:
        target = folder / name
        if (target / "PluginFurnitureCatalog.properties").exists():
            continue
        try:
            with zipfile.ZipFile(source / f"{name}.sh3f") as archive:
                # The list of models comes last: where it is, all else is.
                for member in sorted(
                    archive.namelist(), key=lambda entry: entry == "PluginFurnitureCatalog.properties"
                ):
                    archive.extract(member, target)
        except (OSError, zipfile.BadZipFile) as error:
            raise ImgmatchError(
                f"no furniture catalogue {name} in {source} ({error}); apt-get install sweethome3d-furniture"
            ) from error


def _read(folder: Path, catalogue: str) -> list[Model]:
    try:
        text = (folder / "PluginFurnitureCatalog.properties").read_text(encoding="latin-1")
    except OSError as error:
        raise ImgmatchError(f"no furniture catalogue in {folder}: {error}") from error
    rows: dict[str, dict[str, str]] = {}
    for key, number, value in re.findall(r"^(\w+)#(\d+)\s*=\s*(.*?)\s*$", text, re.MULTILINE):
        rows.setdefault(number, {})[key] = value
    found = []
    for row in rows.values():
        path = folder / row.get("model", "").lstrip("/")
        if path.suffix != ".obj":
            continue
        size = tuple(float(row[side]) / 100 for side in ("width", "depth", "height"))
        rotation = tuple(float(number) for number in row.get("modelRotation", "").split())
        elevation = float(row.get("elevation") or 0) / 100
        found.append(Model(f"{catalogue}/{path.stem}", path, (size[0], size[1], size[2]), elevation, rotation))
    return found
