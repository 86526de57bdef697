// The exact pixels of a PNG, straight alpha: a canvas would round colors by their alpha and a color profile.

export interface Picture {
  width: number;
  height: number;
  rgba: Uint8ClampedArray<ArrayBuffer>;
}

const SIGNATURE = [137, 80, 78, 71, 13, 10, 26, 10];
const CHANNELS: Record<number, number> = { 0: 1, 2: 3, 3: 1, 4: 2, 6: 4 };
const MOST_PIXELS = 1 << 26;

interface Header {
  width: number;
  height: number;
  depth: number;
  kind: number;
  interlaced: boolean;
}

/** The pixels; colors under alpha 0 become black. Null for what is no PNG that is known here. */
export async function decode(bytes: Uint8Array<ArrayBuffer>): Promise<Picture | null> {
  if (SIGNATURE.some((byte, at) => bytes[at] !== byte)) return null;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let header: Header | null = null;
  let palette: Uint8Array | null = null;
  let transparent: Uint8Array | null = null;
  const data: Uint8Array<ArrayBuffer>[] = [];
  for (let at = 8; at + 12 <= bytes.length;) {
    const size = view.getUint32(at);
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8));
    const body = bytes.subarray(at + 8, at + 8 + size);
    if (name === "IHDR") {
      header = {
        width: view.getUint32(at + 8),
        height: view.getUint32(at + 12),
        depth: bytes[at + 16]!,
        kind: bytes[at + 17]!,
        interlaced: bytes[at + 20] !== 0,
      };
    } else if (name === "PLTE") palette = body;
    else if (name === "tRNS") transparent = body;
    else if (name === "IDAT") data.push(body);
    else if (name === "IEND") break;
    at += size + 12;
  }
  if (!header || !(header.kind in CHANNELS) || header.interlaced || header.depth === 16) return null;
  if (header.width * header.height > MOST_PIXELS) return null;
  const stream = new Blob(data).stream().pipeThrough(new DecompressionStream("deflate"));
  const raw = new Uint8Array(await new Response(stream).arrayBuffer());
  return spread(header, unfiltered(header, raw), palette, transparent);
}

function unfiltered({ height, width, depth, kind }: Header, raw: Uint8Array): Uint8Array {
  const bits = CHANNELS[kind]! * depth;
  const stride = Math.ceil((width * bits) / 8);
  const back = Math.max(1, bits >> 3);
  const out = new Uint8Array(stride * height);
  for (let y = 0; y < height; y++) {
    const filter = raw[y * (stride + 1)]!;
    const from = y * (stride + 1) + 1;
    const to = y * stride;
    for (let x = 0; x < stride; x++) {
      const a = x >= back ? out[to + x - back]! : 0;
      const b = y ? out[to + x - stride]! : 0;
      let guess = 0;
      if (filter === 1) guess = a;
      else if (filter === 2) guess = b;
      else if (filter === 3) guess = (a + b) >> 1;
      else if (filter === 4) guess = paeth(a, b, x >= back && y ? out[to + x - stride - back]! : 0);
      out[to + x] = raw[from + x]! + guess;
    }
  }
  return out;
}

function paeth(a: number, b: number, c: number): number {
  const p = a + b - c;
  const [pa, pb, pc] = [Math.abs(p - a), Math.abs(p - b), Math.abs(p - c)];
  return pa <= pb && pa <= pc ? a : pb <= pc ? b : c;
}

function spread(header: Header, rows: Uint8Array, palette: Uint8Array | null, transparent: Uint8Array | null): Picture {
  const { width, height, depth, kind } = header;
  const channels = CHANNELS[kind]!;
  const stride = Math.ceil((width * channels * depth) / 8);
  const rgba = new Uint8ClampedArray(width * height * 4);
  const scale = kind === 3 ? 1 : 255 / ((1 << depth) - 1);
  const sample = (y: number, index: number) => {
    if (depth === 8) return rows[y * stride + index]!;
    const bit = index * depth;
    return (rows[y * stride + (bit >> 3)]! >> (8 - depth - (bit & 7))) & ((1 << depth) - 1);
  };
  const key = transparent && kind !== 3 ? [transparent[1], transparent[3], transparent[5]] : null;
  for (let y = 0, to = 0; y < height; y++) {
    for (let x = 0; x < width; x++, to += 4) {
      const at = x * channels;
      const first = sample(y, at);
      let alpha = 255;
      if (kind === 3) {
        rgba.set(palette?.subarray(first * 3, first * 3 + 3) ?? [0, 0, 0], to);
        alpha = transparent?.[first] ?? 255;
      } else if (kind === 0 || kind === 4) {
        rgba.fill(first * scale, to, to + 3);
        alpha = kind === 4 ? sample(y, at + 1) : key && key[0] === first ? 0 : 255;
      } else {
        const [g, b] = [sample(y, at + 1), sample(y, at + 2)];
        rgba[to] = first;
        rgba[to + 1] = g;
        rgba[to + 2] = b;
        alpha = kind === 6 ? sample(y, at + 3) : key && key[0] === first && key[1] === g && key[2] === b ? 0 : 255;
      }
      rgba[to + 3] = alpha;
      if (!alpha) rgba.fill(0, to, to + 3);
    }
  }
  return { width, height, rgba };
}
