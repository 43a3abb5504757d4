"""GET a URL and print the body of the answer: get.py URL [CAFILE]"""

import sys
from urllib.parse import urlsplit

import sync_h2

if len(sys.argv) < 2:
    sys.exit(__doc__)
url = urlsplit(sys.argv[1])
path = (url.path or "/") + (f"?{url.query}" if url.query else "")
cafile = sys.argv[2] if sys.argv[2:] else None
with sync_h2.connect(f"{url.scheme}://{url.netloc}", cafile=cafile, timeout=10) as session:
    stream = session.request({":path": path})
    print(stream.wait_response(timeout=10)[":status"], file=sys.stderr)
    sys.stdout.buffer.write(stream.read(timeout=60))
