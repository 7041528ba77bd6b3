"""Faces in a picture: found, judged for how fit they are to be compared, and turned into vectors.

Detector and network are YuNet and SFace of OpenCV Zoo (Apache-2.0), which the package of the extra ``faces`` brings; by
name the network is dlib's ResNet (CC0). They say nothing of age, sex, origin or mood, and nobody's name. Importing this
loads none of them.
"""
