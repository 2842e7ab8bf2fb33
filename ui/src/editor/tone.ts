// From stored values to what the screen shows: window and level by a table of every value.

import type { Picture } from './png'
import type { Rect } from './rect'

/** Values at and below `low` are black, at and above `high` white. */
export interface Window {
  low: number
  high: number
}

/** Screen grey of every stored value. */
export function toneTable(window: Window, bits: 8 | 16): Uint8Array {
  const table = new Uint8Array(1 << bits)
  const width = Math.max(window.high - window.low, 1)
  for (let value = 0; value < table.length; value++) {
    const share = (value - window.low) / width
    table[value] = Math.round(255 * Math.min(1, Math.max(0, share)))
  }
  return table
}

/** Screen pixels (RGBA) of a part of a picture. */
export function tonePixels(picture: Picture, table: Uint8Array, rect: Rect): Uint8ClampedArray {
  const across = rect.x1 - rect.x0
  const pixels = new Uint32Array(across * (rect.y1 - rect.y0))
  const { data, width, channels } = picture
  let out = 0
  for (let y = rect.y0; y < rect.y1; y++) {
    let at = (y * width + rect.x0) * channels
    for (let x = 0; x < across; x++, out++) {
      if (channels === 1) {
        const grey = table[data[at++]]
        pixels[out] = 0xff000000 | (grey << 16) | (grey << 8) | grey
      } else {
        const red = table[data[at]]
        const green = table[data[at + 1]]
        pixels[out] = 0xff000000 | (table[data[at + 2]] << 16) | (green << 8) | red
        at += 3
      }
    }
  }
  return new Uint8ClampedArray(pixels.buffer)
}

/** The smallest and the largest value. */
export function extent(picture: Picture): Window {
  let low = picture.data[0]
  let high = low
  for (const value of picture.data) {
    if (value < low) low = value
    else if (value > high) high = value
  }
  return { low, high: Math.max(high, low + 1) }
}

/** The window that leaves out the darkest and brightest half per cent of the values. */
export function autoWindow(picture: Picture, share = 0.005): Window {
  const counts = new Uint32Array(1 << picture.bits)
  // A few hundred thousand pixels tell enough.
  const step = Math.max(1, Math.floor(picture.data.length / 400_000))
  let total = 0
  for (let i = 0; i < picture.data.length; i += step, total++) counts[picture.data[i]]++
  const at = (target: number) => {
    let seen = 0
    for (let value = 0; value < counts.length; value++) {
      seen += counts[value]
      if (seen > target) return value
    }
    return counts.length - 1
  }
  const low = at(total * share)
  return { low, high: Math.max(low + 1, at(total * (1 - share))) }
}

/** A picture of at most `edge` pixels a side, by the nearest pixel; for thumbnails. */
export function shrink(picture: Picture, edge: number): Picture {
  const scale = Math.max(1, Math.max(picture.height, picture.width) / edge)
  const height = Math.max(1, Math.round(picture.height / scale))
  const width = Math.max(1, Math.round(picture.width / scale))
  const { channels, bits } = picture
  const size = height * width * channels
  const data = bits === 16 ? new Uint16Array(size) : new Uint8Array(size)
  for (let y = 0; y < height; y++) {
    const row = Math.min(picture.height - 1, Math.floor((y + 0.5) * scale))
    for (let x = 0; x < width; x++) {
      const column = Math.min(picture.width - 1, Math.floor((x + 0.5) * scale))
      for (let c = 0; c < channels; c++) {
        const from = (row * picture.width + column) * channels + c
        data[(y * width + x) * channels + c] = picture.data[from]
      }
    }
  }
  return { height, width, channels, bits, data }
}
