"""Windows: the SCM, the Event Log, Job objects, named pipes.

Floor: as ``platforms``. Modules that only decide import nothing of Windows, and are tested anywhere.
"""
