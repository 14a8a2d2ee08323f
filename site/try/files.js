// The large files: compressed when the site is built, kept by the browser after the first visit.

const CACHE = "colour-your-photograph"; // of sw.js too
const manifest = fetch("files.json").then((answer) => answer.json());

/** Bytes that `names` take on the network together. */
export async function bytesOf(names) {
  const files = await manifest;
  return names.reduce((sum, name) => sum + files[name].bytes, 0);
}

/** The bytes of a file of files.json, unpacked; `progress` is told of each piece that arrives. */
export async function load(name, progress = () => {}) {
  const { url, halves } = (await manifest)[name];
  const kept = await globalThis.caches?.open(CACHE);
  let answer = await kept?.match(url);
  if (!answer) {
    answer = await fetch(url);
    if (!answer.ok) throw new Error(`${url} could not be loaded (${answer.status})`);
    await kept?.put(url, answer.clone()).catch(() => {}); // no room: it is loaded again next time
  }
  const counted = new TransformStream({
    transform(piece, to) {
      progress(piece.length);
      to.enqueue(piece);
    },
  });
  let bytes = await bytesIn(answer.body.pipeThrough(counted));
  // Some servers say of such a file that it is compressed, and then the browser has unpacked it.
  if (bytes[0] === 0x1f && bytes[1] === 0x8b)
    bytes = await bytesIn(new Response(bytes).body.pipeThrough(new DecompressionStream("gzip")));
  return halves ? joined(bytes) : bytes;
}

const bytesIn = async (stream) => new Uint8Array(await new Response(stream).arrayBuffer());

// Halves compress better with all first bytes before all second ones.
function joined(bytes) {
  const whole = new Uint8Array(bytes.length);
  const middle = Math.ceil(bytes.length / 2);
  for (let i = 0; i < bytes.length; i++) whole[i] = bytes[i & 1 ? middle + (i >> 1) : i >> 1];
  return whole;
}
