from imgmatch.errors import ImgmatchError as ImgmatchError
from imgmatch.locator import Locator as Locator
from imgmatch.models import load_model as load_model
from imgmatch.models.base import Embedder as Embedder
from imgmatch.types import Match as Match
from imgmatch.types import Sighting as Sighting

__version__: str
