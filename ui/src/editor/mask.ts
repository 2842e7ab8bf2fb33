// The mask layer: one byte a pixel, and the ways to change it. Every change returns the rectangle
// that it touched, so that painting and undoing cost what was changed and not the whole image.

import { clip, type Rect } from './rect'

export interface Mask {
  readonly height: number
  readonly width: number
  /** Class number, 255 where nobody has said. */
  readonly data: Uint8Array
}

/** Whether every pixel is meant to be named, or only what somebody is sure of. */
export type Kind = 'mask' | 'scribble'

export interface Point {
  y: number
  x: number
}

export function blankMask(height: number, width: number, value: number): Mask {
  return { height, width, data: new Uint8Array(height * width).fill(value) }
}

/**
 * Give a value to every pixel whose centre is within `size / 2` of the segment from `a` to `b`.
 *
 * Points are in continuous image coordinates: the centre of the first pixel is (0.5, 0.5). A brush
 * of size 1 or less sets the pixels that the segment passes, so that no stroke is ever empty.
 */
export function drawSegment(
  mask: Mask,
  a: Point,
  b: Point,
  size: number,
  value: number,
): Rect | null {
  const radius = Math.max(size, 1.5) / 2
  const around = {
    y0: Math.floor(Math.min(a.y, b.y) - radius),
    x0: Math.floor(Math.min(a.x, b.x) - radius),
    y1: Math.ceil(Math.max(a.y, b.y) + radius) + 1,
    x1: Math.ceil(Math.max(a.x, b.x) + radius) + 1,
  }
  const dirty = clip(around, mask.height, mask.width)
  if (!dirty) return null
  const dy = b.y - a.y
  const dx = b.x - a.x
  const squared = dy * dy + dx * dx
  for (let y = dirty.y0; y < dirty.y1; y++) {
    const span = spanOfRow(y + 0.5, a, b, dy, dx, squared, radius)
    if (!span) continue
    const from = Math.max(dirty.x0, Math.ceil(span[0] - 0.5))
    const to = Math.min(dirty.x1 - 1, Math.floor(span[1] - 0.5))
    if (to >= from) mask.data.fill(value, y * mask.width + from, y * mask.width + to + 1)
  }
  return dirty
}

/** Where the horizontal line `y` enters and leaves a capsule: the hull of two discs and a band. */
function spanOfRow(
  y: number,
  a: Point,
  b: Point,
  dy: number,
  dx: number,
  squared: number,
  radius: number,
): [number, number] | null {
  let low = Number.POSITIVE_INFINITY
  let high = Number.NEGATIVE_INFINITY
  for (const end of [a, b]) {
    const reach = radius * radius - (y - end.y) * (y - end.y)
    if (reach < 0) continue
    const half = Math.sqrt(reach)
    low = Math.min(low, end.x - half)
    high = Math.max(high, end.x + half)
  }
  if (squared > 0) {
    // Inside the band: the distance to the line is at most the radius ...
    let from = Number.NEGATIVE_INFINITY
    let to = Number.POSITIVE_INFINITY
    const reach = radius * Math.sqrt(squared)
    const offset = dx * (y - a.y)
    if (dy === 0) {
      if (Math.abs(offset) > reach) return high >= low ? [low, high] : null
    } else {
      const first = a.x + (offset - reach) / dy
      const second = a.x + (offset + reach) / dy
      from = Math.min(first, second)
      to = Math.max(first, second)
    }
    // ... and the foot of the perpendicular lies between the ends.
    const along = dy * (y - a.y)
    if (dx === 0) {
      if (along < 0 || along > squared) return high >= low ? [low, high] : null
    } else {
      const first = a.x - along / dx
      const second = a.x + (squared - along) / dx
      from = Math.max(from, Math.min(first, second))
      to = Math.min(to, Math.max(first, second))
    }
    if (to >= from) {
      low = Math.min(low, from)
      high = Math.max(high, to)
    }
  }
  return high >= low ? [low, high] : null
}

/** Fill a polygon by the even-odd rule, pixel centres deciding; fewer than three corners do nothing. */
export function fillPolygon(mask: Mask, corners: readonly Point[], value: number): Rect | null {
  if (corners.length < 3) return null
  const ys = corners.map((corner) => corner.y)
  const xs = corners.map((corner) => corner.x)
  // Loops, not Math.min(...ys): a long lasso has more points than a call takes arguments.
  const low = (values: number[]) => values.reduce((a, b) => Math.min(a, b))
  const high = (values: number[]) => values.reduce((a, b) => Math.max(a, b))
  const around = {
    y0: Math.floor(low(ys)),
    x0: Math.floor(low(xs)),
    y1: Math.ceil(high(ys)) + 1,
    x1: Math.ceil(high(xs)) + 1,
  }
  const dirty = clip(around, mask.height, mask.width)
  if (!dirty) return null
  for (let y = dirty.y0; y < dirty.y1; y++) {
    const crossings = crossingsOfRow(corners, y + 0.5)
    for (let i = 0; i + 1 < crossings.length; i += 2) {
      const from = Math.max(dirty.x0, Math.ceil(crossings[i] - 0.5))
      const to = Math.min(dirty.x1, Math.ceil(crossings[i + 1] - 0.5))
      if (to > from) mask.data.fill(value, y * mask.width + from, y * mask.width + to)
    }
  }
  return dirty
}

function crossingsOfRow(corners: readonly Point[], y: number): number[] {
  const found: number[] = []
  for (let i = 0; i < corners.length; i++) {
    const a = corners[i]
    const b = corners[(i + 1) % corners.length]
    if (a.y <= y !== b.y <= y) found.push(a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x))
  }
  return found.sort((first, second) => first - second)
}

/** Give a value to the region of equal pixels around a point, joined by edges (4-neighbours). */
export function floodFill(mask: Mask, at: Point, value: number): Rect | null {
  const { height, width, data } = mask
  const y = Math.floor(at.y)
  const x = Math.floor(at.x)
  if (y < 0 || x < 0 || y >= height || x >= width) return null
  const old = data[y * width + x]
  if (old === value) return null
  const dirty = { y0: y, x0: x, y1: y + 1, x1: x + 1 }
  const pending = [y * width + x]
  while (pending.length > 0) {
    const start = pending.pop()!
    if (data[start] !== old) continue
    const row = Math.floor(start / width)
    const first = row * width
    let from = start
    let to = start + 1
    while (from > first && data[from - 1] === old) from--
    while (to < first + width && data[to] === old) to++
    data.fill(value, from, to)
    dirty.y0 = Math.min(dirty.y0, row)
    dirty.y1 = Math.max(dirty.y1, row + 1)
    dirty.x0 = Math.min(dirty.x0, from - first)
    dirty.x1 = Math.max(dirty.x1, to - first)
    for (const shift of [-width, width]) {
      if ((shift < 0 && row === 0) || (shift > 0 && row === height - 1)) continue
      // One seed a run of equal pixels: the list stays as short as the outline.
      for (let i = from + shift; i < to + shift; i++) {
        if (data[i] === old && (i === from + shift || data[i - 1] !== old)) pending.push(i)
      }
    }
  }
  return dirty
}

/** Pixels of each value, indexed by value. */
export function countValues(mask: Mask): Uint32Array {
  const counts = new Uint32Array(256)
  for (const value of mask.data) counts[value]++
  return counts
}
