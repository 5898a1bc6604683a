"""One-file executables: a launcher, the interpreter's files, and the code of a program, joined without a compiler.

Floor: as ``console``, above ``supervisor``. Nothing here is imported by a service.
"""
