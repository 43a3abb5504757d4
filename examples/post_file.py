"""POST a file of any size to a URL and print the answer: post_file.py FILE URL"""

import shutil
import sys
from urllib.parse import urlsplit

import sync_h2

if len(sys.argv) < 3:
    sys.exit(__doc__)
url = urlsplit(sys.argv[2])
with open(sys.argv[1], "rb") as file, sync_h2.connect(f"{url.scheme}://{url.netloc}", timeout=10) as session:
    stream = session.request({":method": "POST", ":path": url.path or "/"})
    with stream.wfile as body:
        shutil.copyfileobj(file, body)
    print(stream.wait_response()[":status"], stream.read().decode())
