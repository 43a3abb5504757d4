"""Upload a file and show how far it is: upload_progress.py FILE URL"""

import os
import sys
from urllib.parse import urlsplit

import sync_h2

if len(sys.argv) < 3:
    sys.exit(__doc__)
path, url = sys.argv[1], urlsplit(sys.argv[2])
size = os.path.getsize(path)
with open(path, "rb") as file, sync_h2.connect(f"{url.scheme}://{url.netloc}", timeout=10) as session:
    stream = session.request({":method": "PUT", ":path": url.path or "/", "content-length": size})
    sent = 0
    try:
        while chunk := file.read(1 << 20):
            # Returns when the server has made room for it, so the server sets the pace.
            sent += stream.write(chunk, timeout=30)
            print(f"{sent * 100 // size}%")
        stream.end()
    except sync_h2.Timeout as error:
        sys.exit(f"the server took nothing more after {sent + error.bytes_written} bytes")
    print(stream.wait_response()[":status"], stream.read().decode())
