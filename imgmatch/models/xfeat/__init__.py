"""Learned local features and what pairs them: XFeat (Potje et al., CVPR 2024) with LighterGlue, its small LightGlue.

Both are Apache-2.0. They hold from another side of a scene where SIFT does not. The graphs are built here and run by
ONNX Runtime; their weights are those of the file that is named in ``weights``, which `imgmatch models add` takes over.
Importing this loads none of them.
"""
