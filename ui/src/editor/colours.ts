// How class numbers look: filled with a translucent colour, outlined with a firm one.

import type { Mask } from './mask'
import type { Rect } from './rect'

export interface Palette {
  /** RGBA as the canvas has it in memory (little-endian), by class number. */
  fill: Uint32Array
  edge: Uint32Array
}

export interface PaletteOptions {
  colours: ReadonlyMap<number, string>
  /** 0 to 1. */
  opacity: number
  /** Of the outline; a firmer tone of the filling where it is left out. */
  edge?: number
  /** Values that are not shown: usually the background, or the unknown of a scribble. */
  clear: readonly number[]
}

export function makePalette({ colours, opacity, edge: firm, clear }: PaletteOptions): Palette {
  const outline = firm ?? (opacity > 0 ? Math.min(1, opacity * 1.3 + 0.25) : 0)
  const fill = new Uint32Array(256)
  const edge = new Uint32Array(256)
  for (const [number, colour] of colours) {
    if (clear.includes(number)) continue
    fill[number] = rgba(colour, opacity)
    edge[number] = rgba(colour, outline)
  }
  return { fill, edge }
}

export function rgba(colour: string, alpha: number): number {
  const value = Number.parseInt(colour.slice(1), 16)
  const [red, green, blue] = [value >> 16, (value >> 8) & 255, value & 255]
  return ((Math.round(alpha * 255) << 24) | (blue << 16) | (green << 8) | red) >>> 0
}

/**
 * Screen pixels of a part of a mask. A pixel with a neighbour of another class is an edge; unknown
 * pixels are hatched when `hatch` is not 0.
 */
export function maskPixels(
  mask: Mask,
  palette: Palette,
  rect: Rect,
  hatch: number,
): Uint8ClampedArray {
  const { data, width, height } = mask
  const across = rect.x1 - rect.x0
  const pixels = new Uint32Array(across * (rect.y1 - rect.y0))
  let out = 0
  for (let y = rect.y0; y < rect.y1; y++) {
    const up = y > 0 ? -width : 0
    const down = y < height - 1 ? width : 0
    let at = y * width + rect.x0
    for (let x = rect.x0; x < rect.x1; x++, out++, at++) {
      const value = data[at]
      if (value === 255) {
        if (hatch !== 0 && ((x + y) & 7) < 2) pixels[out] = hatch
        continue
      }
      const fill = palette.fill[value]
      if (fill === 0) continue
      const isEdge =
        data[at + up] !== value ||
        data[at + down] !== value ||
        (x > 0 && data[at - 1] !== value) ||
        (x < width - 1 && data[at + 1] !== value)
      pixels[out] = isEdge ? palette.edge[value] : fill
    }
  }
  return new Uint8ClampedArray(pixels.buffer)
}

/**
 * The sides at which a shown class ends, for each class: y, x, y, x of both ends of every side, in
 * image coordinates. For views in which a pixel is large.
 */
export function outlines(mask: Mask, palette: Palette, rect: Rect): Map<number, number[]> {
  const { data, width, height } = mask
  const found = new Map<number, number[]>()
  const at = (y: number, x: number) =>
    y < 0 || x < 0 || y >= height || x >= width ? -1 : data[y * width + x]
  for (let y = rect.y0; y < rect.y1; y++) {
    for (let x = rect.x0; x < rect.x1; x++) {
      const value = data[y * width + x]
      if (palette.fill[value] === 0) continue
      const lines = found.get(value) ?? []
      if (at(y - 1, x) !== value) lines.push(y, x, y, x + 1)
      if (at(y + 1, x) !== value) lines.push(y + 1, x, y + 1, x + 1)
      if (at(y, x - 1) !== value) lines.push(y, x, y + 1, x)
      if (at(y, x + 1) !== value) lines.push(y, x + 1, y + 1, x + 1)
      if (lines.length > 0) found.set(value, lines)
    }
  }
  return found
}

/** The opaque colour of a canvas pixel, as CSS has it. */
export const cssColour = (pixel: number): string =>
  `rgb(${pixel & 255} ${(pixel >> 8) & 255} ${(pixel >> 16) & 255})`

/** Screen pixels of an uncertainty map: the more uncertain, the less of the image shines through. */
export function heatPixels(values: Uint8Array, opacity: number): Uint8ClampedArray {
  const table = new Uint32Array(256)
  for (let value = 0; value < 256; value++) {
    const share = value / 255
    const [red, green, blue] = heat(share)
    const alpha = Math.round(255 * opacity * Math.sqrt(share))
    table[value] = ((alpha << 24) | (blue << 16) | (green << 8) | red) >>> 0
  }
  const pixels = new Uint32Array(values.length)
  for (let i = 0; i < values.length; i++) pixels[i] = table[values[i]]
  return new Uint8ClampedArray(pixels.buffer)
}

/** Violet over orange to pale yellow, of rising lightness: readable without colour vision. */
function heat(share: number): [number, number, number] {
  const stops = [
    [59, 15, 112],
    [140, 41, 129],
    [222, 73, 104],
    [254, 159, 109],
    [252, 253, 191],
  ]
  const at = Math.min(share * 4, 3.999)
  const [from, to] = [stops[Math.floor(at)], stops[Math.floor(at) + 1]]
  const mix = at - Math.floor(at)
  return [0, 1, 2].map((i) => Math.round(from[i] + (to[i] - from[i]) * mix)) as [
    number,
    number,
    number,
  ]
}
