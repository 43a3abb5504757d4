// The benchmarks' server with Node's http2. Argument and answers are those of sync_h2_server.py.
'use strict';

const fs = require('fs');
const http2 = require('http2');

const options = JSON.parse(process.argv[2]);
const HEADERS = { 'content-type': 'text/plain' };

function onStream(stream, headers) {
  const path = headers[':path'];
  stream.on('error', () => {}); // a client that goes away
  if (path === '/file') {
    stream.respondWithFile(options.file);
  } else if (path === '/upload') {
    let size = 0;
    stream.on('data', (chunk) => { size += chunk.length; });
    stream.on('end', () => {
      stream.respond(HEADERS);
      stream.end(String(size));
    });
  } else if (path === '/open') {
    stream.respond(HEADERS);
    stream.resume();
    stream.on('end', () => stream.end());
  } else {
    stream.respond(HEADERS);
    stream.end('hello world\n');
  }
}

const server = options.certfile
  ? http2.createSecureServer({ cert: fs.readFileSync(options.certfile), key: fs.readFileSync(options.keyfile) })
  : http2.createServer();
server.on('stream', onStream);
server.listen(options.port, '127.0.0.1');
