"""Download several URLs at once into a folder, over one connection to each server: download.py FOLDER URL…"""

import os
import sys
from urllib.parse import urlsplit

import sync_h2

folder, *urls = sys.argv[1:]
with sync_h2.Client(h2c=True, timeout=30, verify=os.environ.get("CAFILE", True)) as client:
    for response in client.map([{"url": url, "stream": True} for url in urls], max_workers=8):
        with response:
            response.raise_for_status()
            name = os.path.basename(urlsplit(response.url).path) or "index.html"
            with open(os.path.join(folder, name), "wb") as file:
                for chunk in response.iter_content(65536):
                    file.write(chunk)
            print(f"{response.status_code} {response.http_version} {response.url}: {os.path.getsize(file.name)} bytes")
