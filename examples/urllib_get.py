"""GET a URL with urllib.request, following redirects and keeping cookies: urllib_get.py URL"""

import sys
import urllib.error
import urllib.request

from sync_h2 import compat

if len(sys.argv) < 2:
    sys.exit(__doc__)
http2 = compat.HTTP2Handler(h2c=True)  # https: over HTTP/2 by ALPN, http: with prior knowledge
opener = urllib.request.build_opener(http2, urllib.request.HTTPCookieProcessor())
try:
    with opener.open(sys.argv[1], timeout=10) as response:
        print(f"{response.status} from {response.url}", file=sys.stderr)
        sys.stdout.buffer.write(response.read())
except urllib.error.HTTPError as error:
    with error:  # a response, too
        sys.exit(f"{error.code} {error.reason}")
