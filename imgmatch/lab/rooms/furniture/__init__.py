"""Furniture of boxes, frustums and panels. Each function builds one piece at a place whose origin is on the floor.

Local axes: x to the right as seen from the front, y towards the viewer (0 at the wall), z up; metres.
"""
