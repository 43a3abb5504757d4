// The benchmarks' server with Node's http2. Argument and answers are those of sync_h2_server.py.
'use strict';

const fs = require('fs');
const http = require('http');
const http2 = require('http2');
const net = require('net');

const options = JSON.parse(process.argv[2]);
const ZEROS = Buffer.alloc(20_000_000);
const HEADERS = { 'content-type': 'text/plain' };

function onStream(stream, headers) {
  const path = headers[':path'];
  stream.on('error', () => {}); // a client that goes away
  if (stream.destroyed) return; // it has gone already
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
  } else if (path.startsWith('/big/')) {
    stream.respond(HEADERS);
    stream.end(ZEROS.subarray(0, Number(path.slice(5))));
  } else if (path === '/events') {
    stream.respond(HEADERS);
    stream.write('subscribed');
  } else {
    stream.respond(HEADERS);
    stream.end('hello world\n');
  }
}

// The same for clients of HTTP/1.1, as far as attackers of it ask.
function onRequest(request, response) {
  if (request.httpVersionMajor !== 1) return;
  response.on('error', () => {});
  if (request.url.startsWith('/big/')) {
    response.end(ZEROS.subarray(0, Number(request.url.slice(5))));
  } else {
    request.resume();
    request.on('end', () => response.end('hello world\n'));
  }
}

const server = options.certfile
  ? http2.createSecureServer({
    cert: fs.readFileSync(options.certfile),
    key: fs.readFileSync(options.keyfile),
    allowHTTP1: options.http1,
  })
  : http2.createServer();
server.on('stream', onStream);
if (options.http1 && options.certfile) {
  server.on('request', onRequest);
}
if (options.http1 && !options.certfile) {
  // Who begins with the preface of HTTP/2 is served by one, the others by the other.
  const http1 = http.createServer(onRequest);
  net.createServer((socket) => {
    socket.on('error', () => {});
    socket.once('readable', () => {
      const octets = socket.read();
      if (octets === null) return;
      socket.unshift(octets);
      (octets.toString('latin1').startsWith('PRI') ? server : http1).emit('connection', socket);
    });
  }).listen(options.port, '127.0.0.1');
} else {
  server.listen(options.port, '127.0.0.1');
}
