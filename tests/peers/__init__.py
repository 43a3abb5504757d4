"""Other people's tests of their clients, run over this package: `tox -e peers`.

`sources.txt` names whose tests, `__main__` runs each suite in a pytest of its own, the other modules are its plugins.
"""
