"""Configuration: read strictly, layered, converted to the user's type, masked where secret, and changed as a
transaction.

The way of a value: ``documents`` (file to tree), ``layers`` (argument > environment > file > default), ``typed`` or
``settings`` (tree to the object users see), ``store`` (all of it, loaded), ``reload`` (the change of it in a running
service).
"""
