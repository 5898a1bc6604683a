"""Programs that are one file: what is in this one, how it begins, what managers run, its update, and what it leaves.

A launcher in C brings the interpreter, and has put the module ``_stayon`` among the built-in ones.
"""
