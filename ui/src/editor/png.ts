// PNG in the page itself: browsers decode 16-bit pictures to 8 bits and apply colour profiles, and a
// mask must come back exactly as it was written.

export interface Picture {
  height: number
  width: number
  /** 1 (grey or palette index) or 3 (RGB). */
  channels: 1 | 3
  bits: 8 | 16
  /** Row by row, channels last. */
  data: Uint8Array | Uint16Array
}

export class PngError extends Error {}

const SIGNATURE = [0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]
const GREY = 0
const RGB = 2
const PALETTE = 3
const GREY_ALPHA = 4
const RGB_ALPHA = 6
const SAMPLES: Record<number, number> = {
  [GREY]: 1,
  [RGB]: 3,
  [PALETTE]: 1,
  [GREY_ALPHA]: 2,
  [RGB_ALPHA]: 4,
}
const MOST_PIXELS = 1 << 26

interface Header {
  height: number
  width: number
  depth: number
  colour: number
  samples: number
}

/** Grey of 1 to 16 bits, RGB of 8 or 16, palette (its indices, not its colours); alpha is dropped. */
export async function decodePng(bytes: Uint8Array): Promise<Picture> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.length < 33 || SIGNATURE.some((value, i) => bytes[i] !== value)) {
    throw new PngError('the picture is not a PNG')
  }
  let header: Header | null = null
  const parts: Uint8Array[] = []
  for (let at = 8; at + 12 <= bytes.length; ) {
    const length = view.getUint32(at)
    const name = String.fromCharCode(...bytes.subarray(at + 4, at + 8))
    if (at + 12 + length > bytes.length) break
    const body = bytes.subarray(at + 8, at + 8 + length)
    if (name === 'IHDR') header = readHeader(body)
    if (name === 'IDAT') parts.push(body)
    at += 12 + length
    if (name === 'IEND') break
  }
  if (!header || parts.length === 0) throw new PngError('the PNG ends before its pixels')
  return unfilter(await through(new DecompressionStream('deflate'), parts), header)
}

/** Height and width as the PNG's first chunk says, without its pixels. */
export function sizeOf(png: Uint8Array): { height: number; width: number } {
  const view = new DataView(png.buffer, png.byteOffset, png.byteLength)
  return { height: view.getUint32(20), width: view.getUint32(16) }
}

function readHeader(body: Uint8Array): Header {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const [width, height, depth, colour] = [view.getUint32(0), view.getUint32(4), body[8], body[9]]
  const samples = SAMPLES[colour]
  const packed = depth < 8 && (colour === GREY || colour === PALETTE)
  if (!samples || ![1, 2, 4, 8, 16].includes(depth) || (depth < 8 && !packed)) {
    throw new PngError(`the PNG has colour type ${colour} with ${depth} bits, which no PNG has`)
  }
  if (body[12] !== 0) throw new PngError('the PNG is interlaced; store it without interlacing')
  if (width === 0 || height === 0 || width * height > MOST_PIXELS) {
    throw new PngError(`the PNG has ${width} x ${height} pixels; at most ${MOST_PIXELS} are shown`)
  }
  return { height, width, depth, colour, samples }
}

function unfilter(raw: Uint8Array, header: Header): Picture {
  const { height, width, depth, samples } = header
  const stride = Math.ceil((width * samples * depth) / 8)
  const step = Math.max(1, (samples * depth) >> 3)
  if (raw.length < height * (stride + 1)) throw new PngError('the PNG ends before its last row')
  for (let y = 0; y < height; y++) {
    const start = y * (stride + 1) + 1
    unfilterRow(raw, start, stride, step, raw[start - 1], y === 0 ? -1 : start - stride - 1)
  }
  return gather(raw, stride, header)
}

/** Undo one row's filter in place (PNG specification, 9.2); `above` is -1 on the first row. */
function unfilterRow(
  raw: Uint8Array,
  start: number,
  stride: number,
  step: number,
  filter: number,
  above: number,
): void {
  if (filter === 0) return
  if (filter > 4) throw new PngError(`the PNG has a row with filter ${filter}, which no PNG has`)
  for (let i = 0; i < stride; i++) {
    const left = i >= step ? raw[start + i - step] : 0
    const up = above >= 0 ? raw[above + i] : 0
    const corner = i >= step && above >= 0 ? raw[above + i - step] : 0
    let guess = left
    if (filter === 2) guess = up
    else if (filter === 3) guess = (left + up) >> 1
    else if (filter === 4) guess = paeth(left, up, corner)
    raw[start + i] = raw[start + i] + guess
  }
}

function paeth(left: number, up: number, corner: number): number {
  const toLeft = Math.abs(up - corner)
  const toUp = Math.abs(left - corner)
  const toCorner = Math.abs(left + up - 2 * corner)
  if (toLeft <= toUp && toLeft <= toCorner) return left
  return toUp <= toCorner ? up : corner
}

/** Samples without filter bytes, padding and alpha. */
function gather(raw: Uint8Array, stride: number, header: Header): Picture {
  const { height, width, depth, samples, colour } = header
  const channels = colour === RGB || colour === RGB_ALPHA ? 3 : 1
  const bits = depth === 16 ? 16 : 8
  const across = width * channels
  const data = bits === 16 ? new Uint16Array(height * across) : new Uint8Array(height * across)
  // Grey of few bits is spread over 0..255; palette indices stay what they are.
  const scale = colour === GREY && depth < 8 ? 255 / ((1 << depth) - 1) : 1
  for (let y = 0; y < height; y++) {
    const row = y * (stride + 1) + 1
    const out = y * across
    if (depth === 8 && samples === channels) {
      ;(data as Uint8Array).set(raw.subarray(row, row + across), out)
      continue
    }
    for (let i = 0; i < across; i++) {
      const sample = channels === samples ? i : Math.floor(i / channels) * samples + (i % channels)
      data[out + i] = readSample(raw, row, sample, depth) * scale
    }
  }
  return { height, width, channels, bits, data }
}

function readSample(raw: Uint8Array, row: number, sample: number, depth: number): number {
  if (depth === 16) return (raw[row + 2 * sample] << 8) | raw[row + 2 * sample + 1]
  if (depth === 8) return raw[row + sample]
  const bit = sample * depth
  return (raw[row + (bit >> 3)] >> (8 - depth - (bit & 7))) & ((1 << depth) - 1)
}

/** An 8-bit grey PNG whose values are the class numbers. */
export async function encodeGrey(
  data: Uint8Array,
  height: number,
  width: number,
): Promise<Uint8Array<ArrayBuffer>> {
  if (data.length !== height * width) {
    throw new PngError(`${data.length} pixels do not make ${width} x ${height}`)
  }
  // Rows as differences to the row above: equal rows of a mask become zeros.
  const rows = new Uint8Array(height * (width + 1))
  for (let y = 0; y < height; y++) {
    const out = y * (width + 1)
    rows[out] = y === 0 ? 0 : 2
    if (y === 0) rows.set(data.subarray(0, width), 1)
    else {
      const here = y * width
      for (let x = 0; x < width; x++) rows[out + 1 + x] = data[here + x] - data[here - width + x]
    }
  }
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header[8] = 8
  const pixels = await through(new CompressionStream('deflate'), [rows])
  return join([
    Uint8Array.from(SIGNATURE),
    chunk('IHDR', header),
    chunk('IDAT', pixels),
    chunk('IEND', new Uint8Array(0)),
  ])
}

export function chunk(name: string, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(12 + body.length)
  const view = new DataView(bytes.buffer)
  view.setUint32(0, body.length)
  for (let i = 0; i < 4; i++) bytes[4 + i] = name.charCodeAt(i)
  bytes.set(body, 8)
  view.setUint32(8 + body.length, crc32(bytes.subarray(4, 8 + body.length)))
  return bytes
}

const CRC = Uint32Array.from({ length: 256 }, (_, n) => {
  let value = n
  for (let k = 0; k < 8; k++) value = value & 1 ? 0xedb88320 ^ (value >>> 1) : value >>> 1
  return value >>> 0
})

function crc32(bytes: Uint8Array): number {
  let crc = 0xffffffff
  for (const byte of bytes) crc = CRC[(crc ^ byte) & 0xff] ^ (crc >>> 8)
  return (crc ^ 0xffffffff) >>> 0
}

export function join(parts: Uint8Array[]): Uint8Array<ArrayBuffer> {
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  return all
}

/** All bytes after a stream of the platform (zlib in or out). */
async function through(
  stream: CompressionStream | DecompressionStream,
  parts: Uint8Array[],
): Promise<Uint8Array> {
  const writer = stream.writable.getWriter()
  const writing = (async () => {
    for (const part of parts) await writer.write(part as Uint8Array<ArrayBuffer>)
    await writer.close()
  })()
  const chunks: Uint8Array[] = []
  const reader = (stream.readable as ReadableStream<Uint8Array>).getReader()
  const reading = (async () => {
    for (let next = await reader.read(); !next.done; next = await reader.read()) {
      chunks.push(next.value)
    }
  })()
  try {
    await Promise.all([writing, reading])
  } catch {
    throw new PngError('the pixels of the PNG are broken')
  }
  return join(chunks)
}
