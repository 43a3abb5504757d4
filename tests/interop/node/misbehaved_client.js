// Asks a server that misbehaves, all at once, each on a connection of its own, and says what came of it.
//   node misbehaved_client.js '{"authority": URL, "cafile": PATH, "requests": [{"path": PATH, "timeout": SECONDS}]}'
// With `upload`, a request has a body of so many octets. The result is a list of {status, informational, length,
// trailers, error, code, goaway}; what has not come is missing, and "timeout" is the error of what took too long.
'use strict';
const fs = require('fs');
const http2 = require('http2');

const job = JSON.parse(process.argv[2]);
const options = {ca: job.cafile ? fs.readFileSync(job.cafile) : undefined};

function ask({path, timeout, upload}) {
  return new Promise((resolve) => {
    const result = {informational: [], length: 0};
    const session = http2.connect(job.authority, options);
    const stream = session.request({':path': path, ':method': upload ? 'POST' : 'GET'}, {endStream: !upload});
    const timer = setTimeout(() => {
      result.error = 'timeout';
      finish();
    }, timeout * 1000);
    function finish() {
      clearTimeout(timer);
      session.destroy();
      resolve(result);
    }
    session.on('error', (error) => { result.error ??= error.code; });
    session.on('goaway', (code, last) => { result.goaway = [code, last]; });
    stream.on('headers', (headers) => result.informational.push(headers[':status']));
    stream.on('response', (headers) => { result.status = headers[':status']; });
    stream.on('trailers', (headers) => { result.trailers = {...headers}; });
    stream.on('data', (chunk) => { result.length += chunk.length; });
    stream.on('error', (error) => { result.error ??= error.message; });
    stream.on('close', () => {
      result.code = stream.rstCode;
      setTimeout(finish, 20);  // what the session has to say
    });
    if (upload) stream.end(Buffer.alloc(upload));
  });
}

Promise.all(job.requests.map(ask)).then((results) => console.log(JSON.stringify(results)));
