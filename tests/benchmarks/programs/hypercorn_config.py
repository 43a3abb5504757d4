"""hypercorn's options for the benchmarks: connections may stay idle while memory is measured, and are not closed after
their thousandth request, which h2load takes for a failure.
"""

keep_alive_timeout = 120
keep_alive_max_requests = 1_000_000_000
loglevel = "CRITICAL"
