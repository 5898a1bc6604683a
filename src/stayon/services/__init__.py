"""Ordinary programs, useful as they are: they import ``stayon`` and themselves, and nothing deeper.

Floor: above ``app``, below ``cli``. They do not know each other, nor their sibling ``testing``.
"""
