import { describe, expect, it } from 'vitest'
import {
  blankMask,
  countValues,
  drawSegment,
  fillPolygon,
  floodFill,
  type Mask,
  type Point,
} from './mask'

/** Small, seeded, good enough for shapes. */
function randomNumbers(seed: number): () => number {
  let state = seed
  return () => {
    state = (state * 1664525 + 1013904223) % 4294967296
    return state / 4294967296
  }
}

const show = (mask: Mask): string[] =>
  Array.from({ length: mask.height }, (_, y) =>
    Array.from(mask.data.subarray(y * mask.width, (y + 1) * mask.width), (value) =>
      value === 255 ? '.' : String(value),
    ).join(''),
  )

function distanceToSegment(p: Point, a: Point, b: Point): number {
  const [dy, dx] = [b.y - a.y, b.x - a.x]
  const squared = dy * dy + dx * dx
  const along = squared === 0 ? 0 : ((p.y - a.y) * dy + (p.x - a.x) * dx) / squared
  const t = Math.min(1, Math.max(0, along))
  return Math.hypot(p.y - a.y - t * dy, p.x - a.x - t * dx)
}

/** Every pixel that changed lies in the rectangle that was named. */
function expectInside(before: Mask, after: Mask, dirty: ReturnType<typeof drawSegment>) {
  after.data.forEach((value, i) => {
    if (value === before.data[i]) return
    const [y, x] = [Math.floor(i / after.width), i % after.width]
    expect(dirty).not.toBeNull()
    expect(y >= dirty!.y0 && y < dirty!.y1 && x >= dirty!.x0 && x < dirty!.x1).toBe(true)
  })
}

describe('drawSegment', () => {
  it('sets exactly the pixels whose centres are within the radius of the segment', () => {
    const random = randomNumbers(1)
    for (let trial = 0; trial < 300; trial++) {
      const mask = blankMask(23, 31, 255)
      const before = blankMask(23, 31, 255)
      const a = { y: random() * 33 - 5, x: random() * 41 - 5 }
      const kind = trial % 4
      const b = {
        y: kind === 0 || kind === 1 ? a.y : random() * 33 - 5,
        x: kind === 0 || kind === 2 ? a.x : random() * 41 - 5,
      }
      const size = 1.5 + random() * 12
      const dirty = drawSegment(mask, a, b, size, 3)
      expectInside(before, mask, dirty)
      mask.data.forEach((value, i) => {
        const p = { y: Math.floor(i / 31) + 0.5, x: (i % 31) + 0.5 }
        const distance = distanceToSegment(p, a, b)
        if (Math.abs(distance - size / 2) < 1e-9) return
        expect(value === 3, `${trial}: ${JSON.stringify({ a, b, size, p })}`).toBe(
          distance < size / 2,
        )
      })
    }
  })

  it('never leaves a stroke empty, however thin', () => {
    const random = randomNumbers(2)
    for (let trial = 0; trial < 100; trial++) {
      const mask = blankMask(8, 8, 255)
      const at = { y: random() * 8, x: random() * 8 }
      drawSegment(mask, at, at, 1, 1)
      expect(countValues(mask)[1]).toBeGreaterThan(0)
    }
  })

  it('leaves out what is outside and says so', () => {
    const mask = blankMask(4, 4, 0)
    expect(drawSegment(mask, { y: -9, x: 2 }, { y: -9, x: 3 }, 4, 1)).toBeNull()
    expect(countValues(mask)[1]).toBe(0)
  })
})

describe('fillPolygon', () => {
  it('fills what a ray from each centre crosses an odd number of times', () => {
    const random = randomNumbers(3)
    for (let trial = 0; trial < 100; trial++) {
      const mask = blankMask(19, 17, 255)
      const corners = Array.from({ length: 3 + (trial % 6) }, () => ({
        y: random() * 27 - 4,
        x: random() * 25 - 4,
      }))
      const dirty = fillPolygon(mask, corners, 2)
      expectInside(blankMask(19, 17, 255), mask, dirty)
      mask.data.forEach((value, i) => {
        const [y, x] = [Math.floor(i / 17) + 0.5, (i % 17) + 0.5]
        let isInside = false
        corners.forEach((a, k) => {
          const b = corners[(k + 1) % corners.length]
          if (a.y > y !== b.y > y && x < ((b.x - a.x) * (y - a.y)) / (b.y - a.y) + a.x) {
            isInside = !isInside
          }
        })
        expect(value === 2).toBe(isInside)
      })
    }
  })

  it('fills a square exactly and its neighbour without overlap or gap', () => {
    const mask = blankMask(4, 6, 255)
    const square = (x0: number, x1: number) => [
      { y: 1, x: x0 },
      { y: 1, x: x1 },
      { y: 3, x: x1 },
      { y: 3, x: x0 },
    ]
    fillPolygon(mask, square(1, 3), 1)
    fillPolygon(mask, square(3, 5), 2)
    expect(show(mask)).toEqual(['......', '.1122.', '.1122.', '......'])
  })

  it('does nothing with two corners', () => {
    const mask = blankMask(4, 4, 255)
    expect(
      fillPolygon(
        mask,
        [
          { y: 0, x: 0 },
          { y: 4, x: 4 },
        ],
        1,
      ),
    ).toBeNull()
  })

  it('takes a lasso of many thousand points', () => {
    const mask = blankMask(100, 100, 255)
    const corners = Array.from({ length: 200_000 }, (_, i) => ({
      y: 50 + 40 * Math.sin((i / 200_000) * 2 * Math.PI),
      x: 50 + 40 * Math.cos((i / 200_000) * 2 * Math.PI),
    }))
    fillPolygon(mask, corners, 1)
    expect(Math.abs(countValues(mask)[1] - Math.PI * 1600)).toBeLessThan(60)
  })
})

describe('floodFill', () => {
  it('finds the region that a queue of neighbours finds', () => {
    const random = randomNumbers(4)
    for (let trial = 0; trial < 60; trial++) {
      const mask = blankMask(17, 21, 0)
      mask.data.forEach((_, i) => {
        mask.data[i] = random() < 0.4 ? 1 : 0
      })
      const before = { ...mask, data: mask.data.slice() }
      const expected = slowFill(before, 8, 10, 5)
      const dirty = floodFill(mask, { y: 8.5, x: 10.5 }, 5)
      expect(mask.data).toEqual(expected)
      expectInside(before, mask, dirty)
    }
  })

  it('does nothing outside, or where the value is already there', () => {
    const mask = blankMask(4, 4, 1)
    expect(floodFill(mask, { y: -1, x: 0 }, 2)).toBeNull()
    expect(floodFill(mask, { y: 1, x: 1 }, 1)).toBeNull()
  })
})

function slowFill(mask: Mask, y: number, x: number, value: number): Uint8Array {
  const data = mask.data.slice()
  const old = data[y * mask.width + x]
  const queue = [[y, x]]
  while (queue.length > 0) {
    const [v, u] = queue.pop()!
    if (v < 0 || u < 0 || v >= mask.height || u >= mask.width) continue
    if (data[v * mask.width + u] !== old) continue
    data[v * mask.width + u] = value
    queue.push([v - 1, u], [v + 1, u], [v, u - 1], [v, u + 1])
  }
  return data
}
