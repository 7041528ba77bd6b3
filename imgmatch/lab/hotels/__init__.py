"""Hotels that never were: designs drawn from a seed, their rooms, and views of them rendered with depth and instances.

A *design* is what a hotel's rooms share, a *room* is one place of it, a *visit* is that place at one time (light, bed,
luggage), a *view* is one photograph of a visit. All of it is plain data drawn from seeds; only `cycles` speaks to
Blender, and only in the process that renders.
"""
