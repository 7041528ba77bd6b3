"""Ingest over several machines: workers of Dask read, decode and embed, and this machine commits in walk order.

The unit of work is a *job*: a few outermost files, with whatever lies in them. A worker walks, reads and embeds them
and gives back what became of them as *events*, in the order in which one machine would have met them, a bounded number
a *step*. A step that was lost is asked for again, of the same worker or of another: what came of a job before is not
done again, and an event is taken once. So it does not matter when a worker, or the scheduler, is lost.
"""
