"""HEAD and GET several paths of one server, on one connection, as with http.client:
http_client.py HOST[:PORT] PATH…
"""

import sys
from functools import partial

from sync_h2 import compat

if len(sys.argv) < 3:
    sys.exit(__doc__)
host, *paths = sys.argv[1:]
connection = compat.HTTP2Connection(host, h2c=True, timeout=10)  # without h2c: TLS, as http.client.HTTPSConnection
for path in paths:
    connection.request("HEAD", path)
    with connection.getresponse() as response:
        length = response.getheader("Content-Length")
    connection.request("GET", path, headers={"Accept": "text/plain"})
    with connection.getresponse() as response:
        received = sum(map(len, iter(partial(response.read, 65536), b"")))
        print(f"{response.status} {response.reason}: {path} has {received} bytes, and said {length}")
connection.close()
