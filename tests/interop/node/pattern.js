// Bodies whose bytes follow a rule (byte i is i modulo 251, a prime, so that no two frames are alike): they can be made
// and checked piece by piece on both sides. tests/support/octets/bodies.py is the same rule in Python.
'use strict';

const crypto = require('crypto');
const { Readable } = require('stream');

const PERIOD = 251;
const BLOCK = Buffer.alloc(PERIOD * 1000);
for (let index = 0; index < BLOCK.length; index++) BLOCK[index] = index % PERIOD;

function* blocks(size) {
  for (let left = size; left > 0; left -= BLOCK.length) yield BLOCK.subarray(0, Math.min(left, BLOCK.length));
}

// A readable stream of `size` bytes.
exports.pattern = (size) => Readable.from(blocks(size), { objectMode: false });

// Reads `readable` to its end; resolves to its length and checksum, and its text when it is short.
exports.digest = async (readable) => {
  const hash = crypto.createHash('sha256');
  const beginning = [];
  let length = 0;
  for await (const chunk of readable) {
    hash.update(chunk);
    if (length < 10000) beginning.push(chunk);
    length += chunk.length;
  }
  const text = length < 10000 ? Buffer.concat(beginning).toString('latin1') : null;
  return { length, sha256: hash.digest('hex'), text };
};
