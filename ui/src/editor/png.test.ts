import { deflateSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { chunk, decodePng, encodeGrey, join } from './png'

const SIGNATURE = Uint8Array.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a])

interface Fixture {
  width: number
  height: number
  depth: number
  colour: number
  /** Rows as stored, each with its filter in front. */
  rows: number[][]
  interlace?: number
  parts?: number
}

function makePng({ width, height, depth, colour, rows, interlace = 0, parts = 1 }: Fixture) {
  const header = new Uint8Array(13)
  const view = new DataView(header.buffer)
  view.setUint32(0, width)
  view.setUint32(4, height)
  header.set([depth, colour, 0, 0, interlace], 8)
  const pixels = new Uint8Array(deflateSync(Uint8Array.from(rows.flat())))
  const size = Math.ceil(pixels.length / parts)
  return join([
    SIGNATURE,
    chunk('IHDR', header),
    chunk('tEXt', Uint8Array.from([65, 0, 66])),
    ...Array.from({ length: parts }, (_, i) =>
      chunk('IDAT', pixels.subarray(i * size, (i + 1) * size)),
    ),
    chunk('IEND', new Uint8Array(0)),
  ])
}

/** Filter rows as the specification's section 9 says; the slow truth for the decoder. */
function filterRows(rows: number[][], step: number, filters: number[]): number[][] {
  return rows.map((row, y) => {
    const above = y > 0 ? rows[y - 1] : row.map(() => 0)
    return [
      filters[y],
      ...row.map((value, i) => {
        const a = i >= step ? row[i - step] : 0
        const b = above[i]
        const c = i >= step ? above[i - step] : 0
        const p = a + b - c
        const nearest = [a, b, c].reduce((best, each) =>
          Math.abs(p - each) < Math.abs(p - best) ? each : best,
        )
        const guess = [0, a, b, Math.floor((a + b) / 2), nearest][filters[y]]
        return (value - guess + 256) % 256
      }),
    ]
  })
}

const noise = (length: number, seed: number) =>
  Array.from({ length }, (_, i) => (((i + 1) * (seed * 2654435761 + 40503)) % 256) & 255)

describe('decodePng', () => {
  it('reads 8-bit grey with every filter', async () => {
    const rows = Array.from({ length: 10 }, (_, y) => noise(7, y + 1))
    const stored = filterRows(rows, 1, [0, 1, 2, 3, 4, 4, 3, 2, 1, 0])
    const picture = await decodePng(
      makePng({ width: 7, height: 10, depth: 8, colour: 0, rows: stored, parts: 3 }),
    )
    expect(picture).toMatchObject({ width: 7, height: 10, channels: 1, bits: 8 })
    expect(Array.from(picture.data)).toEqual(rows.flat())
  })

  it('reads the first row with filters that look above it', async () => {
    const rows = [noise(6, 1)]
    for (const filter of [2, 3, 4]) {
      const stored = filterRows(rows, 1, [filter])
      const png = makePng({ width: 6, height: 1, depth: 8, colour: 0, rows: stored })
      expect(Array.from((await decodePng(png)).data)).toEqual(rows.flat())
    }
  })

  it('reads 16-bit grey without losing a bit', async () => {
    const values = [0, 1, 255, 256, 1000, 40000, 65534, 65535]
    const bytes = values.flatMap((value) => [value >> 8, value & 255])
    const rows = filterRows([bytes.slice(0, 8), bytes.slice(8)], 2, [1, 4])
    const picture = await decodePng(makePng({ width: 4, height: 2, depth: 16, colour: 0, rows }))
    expect(picture.bits).toBe(16)
    expect(picture.data).toBeInstanceOf(Uint16Array)
    expect(Array.from(picture.data)).toEqual(values)
  })

  it('reads RGB and drops alpha', async () => {
    const rgb = filterRows([noise(9, 3), noise(9, 4)], 3, [4, 3])
    const picture = await decodePng(
      makePng({ width: 3, height: 2, depth: 8, colour: 2, rows: rgb }),
    )
    expect(picture.channels).toBe(3)
    expect(Array.from(picture.data)).toEqual([...noise(9, 3), ...noise(9, 4)])
    const rgba = await decodePng(
      makePng({ width: 2, height: 1, depth: 8, colour: 6, rows: [[0, 1, 2, 3, 9, 4, 5, 6, 9]] }),
    )
    expect(Array.from(rgba.data)).toEqual([1, 2, 3, 4, 5, 6])
    const greyAlpha = await decodePng(
      makePng({ width: 2, height: 1, depth: 8, colour: 4, rows: [[0, 7, 255, 8, 255]] }),
    )
    expect(Array.from(greyAlpha.data)).toEqual([7, 8])
  })

  it('reads palette pictures as indices, also those of few bits', async () => {
    const eight = makePng({ width: 3, height: 1, depth: 8, colour: 3, rows: [[0, 0, 2, 255]] })
    expect(Array.from((await decodePng(eight)).data)).toEqual([0, 2, 255])
    const two = makePng({ width: 5, height: 1, depth: 2, colour: 3, rows: [[0, 0b00011011, 0xc0]] })
    expect(Array.from((await decodePng(two)).data)).toEqual([0, 1, 2, 3, 3])
  })

  it('spreads grey of few bits over the whole range', async () => {
    const one = makePng({ width: 4, height: 1, depth: 1, colour: 0, rows: [[0, 0b10100000]] })
    expect(Array.from((await decodePng(one)).data)).toEqual([255, 0, 255, 0])
  })

  it('says what is wrong with a broken file', async () => {
    const good = makePng({ width: 4, height: 1, depth: 8, colour: 0, rows: [[0, 1, 2, 3, 4]] })
    await expect(decodePng(new Uint8Array(40))).rejects.toThrow('not a PNG')
    await expect(decodePng(good.subarray(0, 45))).rejects.toThrow('ends before')
    const short = makePng({ width: 4, height: 3, depth: 8, colour: 0, rows: [[0, 1, 2, 3, 4]] })
    await expect(decodePng(short)).rejects.toThrow('ends before its last row')
    const laced = makePng({ width: 4, height: 1, depth: 8, colour: 0, rows: [[0]], interlace: 1 })
    await expect(decodePng(laced)).rejects.toThrow('interlaced')
    const odd = makePng({ width: 4, height: 1, depth: 8, colour: 0, rows: [[9, 1, 2, 3, 4]] })
    await expect(decodePng(odd)).rejects.toThrow('filter 9')
    const huge = makePng({ width: 1 << 20, height: 1 << 20, depth: 8, colour: 0, rows: [[0]] })
    await expect(decodePng(huge)).rejects.toThrow('at most')
    const broken = good.slice()
    broken.fill(0xff, 60, 66)
    await expect(decodePng(broken)).rejects.toThrow('broken')
  })
})

describe('encodeGrey', () => {
  it('comes back as it was', async () => {
    const data = Uint8Array.from(noise(15 * 9, 5))
    const picture = await decodePng(await encodeGrey(data, 9, 15))
    expect(picture).toMatchObject({ height: 9, width: 15, channels: 1, bits: 8 })
    expect(picture.data).toEqual(data)
  })

  it('keeps a large mask small', async () => {
    const data = new Uint8Array(2048 * 2048).fill(255)
    for (let y = 500; y < 900; y++) data.fill(3, y * 2048 + 300, y * 2048 + 1000)
    expect((await encodeGrey(data, 2048, 2048)).length).toBeLessThan(20_000)
  })

  it('refuses pixels that do not make the picture', async () => {
    await expect(encodeGrey(new Uint8Array(5), 2, 3)).rejects.toThrow('do not make')
  })
})
