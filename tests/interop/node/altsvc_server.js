// An HTTP/2 server that names alternative services and origins. One argument, JSON: {port, certfile, keyfile}; without
// the files it speaks h2c. ALTSVC and ORIGIN precede the answer to each request.
'use strict';

const fs = require('fs');
const http2 = require('http2');

const { port, certfile, keyfile } = JSON.parse(process.argv[2]);
const origins = ['https://first.example/path', new URL('https://second.example:8443')];
const server = certfile
  ? http2.createSecureServer({ cert: fs.readFileSync(certfile), key: fs.readFileSync(keyfile), origins })
  : http2.createServer();
server.on('stream', (stream) => {
  const { session } = stream;
  session.altsvc('h2=":8000"', 'https://Example.org:443/path');
  session.altsvc('clear', stream.id);
  session.origin('https://third.example', 'https://bücher.example');
  stream.respond();
  stream.end('answered');
});
server.listen(port, '127.0.0.1');
