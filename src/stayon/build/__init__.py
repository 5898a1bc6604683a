"""One-file executables, made on any computer for any other: recipe, wheels, payload, launchers, and their check.

Floor: above ``supervisor``, below ``app``; it does not know its sibling ``console``. Still empty.
"""
