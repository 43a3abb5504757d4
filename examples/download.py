"""Download several URLs at once into a folder, over one connection to each server: download.py FOLDER URL…"""

import os
import sys
from concurrent.futures import ThreadPoolExecutor
from urllib.parse import urlsplit

import sync_h2

if len(sys.argv) < 3:
    sys.exit(__doc__)
folder, *urls = sys.argv[1:]


def download(url):
    with client.stream("GET", url) as response:
        response.raise_for_status()
        name = os.path.basename(urlsplit(response.url).path) or "index.html"
        with open(os.path.join(folder, name), "wb") as file:
            for chunk in response.iter_content(65536):
                file.write(chunk)
    return f"{response.status_code} {response.http_version} {response.url}: {os.path.getsize(file.name)} bytes"


with (
    sync_h2.Client(h2c=True, timeout=30, verify=os.environ.get("CAFILE", True)) as client,
    ThreadPoolExecutor(8) as threads,
):
    for line in threads.map(download, urls):
        print(line)
