"""Pairs of training views: what a picture, or a room, may look like when it is met again.

Every view is one geometric warp out of a stored square picture, so that crop, flip, rotation, perspective and the final
squash to the network's input cost a single interpolation, followed by light, colour, quality and overlays on the small
result. One view takes one to three milliseconds on one core. All randomness comes from the generator that is passed in.

The kinds of pairs (weights in ``PairMix``):

* ``copy``: a mild version of a photograph and a strongly altered one, as in SSCD (Pizzi et al., arXiv 2202.10261).
* ``viewpoint``: the photograph and what it would look like from another position, under a rough box-shaped model of the
  room ("Tour into the picture", Horry et al., SIGGRAPH 1997), in other light, often with a person in the way.
* ``overlap``: two crops that share a part, each under its own homography.
* ``room``: two views of one rendered room, or two photographs that carry the same label.
"""

from imgmatch.lab.training.augment.geometry import Shown, Source, other_viewpoint
from imgmatch.lab.training.augment.pairs import Fillers, PairMix, Views, pair, room_pair

__all__ = ["Fillers", "PairMix", "Shown", "Source", "Views", "other_viewpoint", "pair", "room_pair"]
