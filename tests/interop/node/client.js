// An HTTP/2 client for the interop tests. One argument, JSON:
//   {authority, cafile, settings, ping, parallel, requests: [{headers, body, trailers, abort}]}
// `body` is the size of a pattern (see pattern.js) or a text; `abort` is the code to reset the stream with once the
// response's headers have come; `parallel` is how many requests are open at once (default 1). Prints one line of JSON:
//   {alpn, error, goaways, remoteSettings, ping, responses: [{status, headers, informational, trailers, length, sha256,
//    text, rstCode, error, pushes: [{requestHeaders, ...}]}]}
'use strict';

const fs = require('fs');
const http2 = require('http2');
const { Readable } = require('stream');
const { pattern, digest } = require('./pattern.js');

const job = JSON.parse(process.argv[2]);
const result = { alpn: null, error: null, goaways: [], remoteSettings: null, ping: null, responses: [] };

// `:status` and the like stay in; the flags and symbols that Node adds do not.
const plain = (headers) => ({ ...headers });

// What came back on `stream`, a request of ours or one that the server pushed.
function receive(stream, abort) {
  const response = { status: null, headers: null, informational: [], trailers: null, pushes: [], rstCode: null, error: null };
  const onResponse = (headers) => {
    response.status = headers[':status'];
    response.headers = plain(headers);
    if (abort !== undefined) stream.close(abort);
  };
  stream.on('headers', (headers) => response.informational.push(plain(headers)));
  stream.on('response', onResponse);
  stream.on('push', onResponse);
  stream.on('trailers', (headers) => { response.trailers = plain(headers); });
  stream.on('error', (error) => { response.error = error.code || error.message; });
  const closed = new Promise((resolve) => stream.on('close', resolve));
  return Promise.allSettled([digest(stream), closed]).then(([body]) => {
    Object.assign(response, body.value);
    response.rstCode = stream.rstCode;
    return response;
  });
}

async function send(session, pushes, { headers, body, trailers, abort }) {
  const stream = session.request(headers, { endStream: body === undefined && !trailers, waitForTrailers: Boolean(trailers) });
  if (trailers) stream.on('wantTrailers', () => stream.sendTrailers(trailers));
  const received = receive(stream, abort);
  const source = typeof body === 'number' ? pattern(body) : Readable.from([Buffer.from(body || '')]);
  if (body !== undefined || trailers) source.pipe(stream);
  const response = await received;
  // A promise comes before the end of the response it belongs to (RFC 9113 section 8.4.1), so all are known by now.
  response.pushes = await Promise.all(pushes.filter((push) => push.parent === headers[':path']).map((push) => push.response));
  return response;
}

async function run() {
  const session = http2.connect(job.authority, {
    ca: job.cafile && fs.readFileSync(job.cafile),
    settings: job.settings,
  });
  const pushes = [];
  session.on('stream', (stream, requestHeaders) => {
    // Node does not say which request a promise belongs to; the tests that look at pushes send one request.
    const response = receive(stream).then((pushed) => ({ requestHeaders: plain(requestHeaders), ...pushed }));
    pushes.push({ parent: job.requests[0].headers[':path'], response });
  });
  session.on('goaway', (code, lastStreamID, data) => {
    result.goaways.push({ code, lastStreamID, data: data ? Buffer.from(data).toString() : '' });
  });
  session.on('error', (error) => { result.error = error.code || error.message; });
  const closed = new Promise((resolve) => session.on('close', resolve));

  await Promise.race([new Promise((resolve) => session.once('remoteSettings', resolve)), closed]);
  if (session.destroyed) return;
  result.alpn = session.alpnProtocol;
  result.remoteSettings = session.remoteSettings;
  if (job.ping) {
    result.ping = await new Promise((resolve, reject) => {
      session.ping(Buffer.from('pingpong'), (error, milliseconds, payload) => {
        if (error) reject(error);
        else resolve({ milliseconds, payload: payload.toString() });
      });
    });
  }
  let next = 0;
  const worker = async () => {
    while (next < job.requests.length) {
      const index = next++;
      result.responses[index] = await send(session, pushes, job.requests[index]);
    }
  };
  await Promise.all(Array.from({ length: job.parallel || 1 }, worker));
  session.close();
  await closed;
}

run().then(() => console.log(JSON.stringify(result)));
