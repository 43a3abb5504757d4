"""What sync_h2 costs and how fast it is, next to other programs that speak HTTP/2, measured in one sitting.

Run it as `tox -e bench`, or `PYTHONPATH=.:tests python -m benchmarks`; `--help` tells the options. It needs Linux
(/proc), h2load and nghttpd; peers that are not installed are left out. `rows` says what is measured and what the goals
are, `servers` and `clients` how the peers are started, `load` how servers are put to work, `sitting` how the peers take
turns, `report` how it is told.
"""
