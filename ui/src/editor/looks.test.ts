import { describe, expect, it } from 'vitest'
import { makePalette, maskPixels, outlines, rgba } from './colours'
import { blankMask } from './mask'
import type { Picture } from './png'
import { autoWindow, shrink, tonePixels, toneTable } from './tone'
import { fit, pan, screenRect, toImage, toScreen, zoomAt } from './view'

const whole = (height: number, width: number) => ({ y0: 0, x0: 0, y1: height, x1: width })

describe('window and level', () => {
  it('is black below, white above and linear between', () => {
    const table = toneTable({ low: 100, high: 300 }, 16)
    expect([table[0], table[100], table[200], table[300], table[65535]]).toEqual([
      0, 0, 128, 255, 255,
    ])
  })

  it('stands a window of no width', () => {
    const table = toneTable({ low: 10, high: 10 }, 8)
    expect([table[10], table[11]]).toEqual([0, 255])
  })

  it('paints the asked part of a 16-bit picture', () => {
    const picture: Picture = {
      height: 2,
      width: 2,
      channels: 1,
      bits: 16,
      data: Uint16Array.from([0, 500, 1000, 2000]),
    }
    const pixels = tonePixels(picture, toneTable({ low: 0, high: 1000 }, 16), {
      y0: 0,
      x0: 1,
      y1: 2,
      x1: 2,
    })
    expect(Array.from(pixels)).toEqual([128, 128, 128, 255, 255, 255, 255, 255])
  })

  it('finds the range of the values without the extremes', () => {
    const data = Uint16Array.from({ length: 10_000 }, (_, i) => 1000 + (i % 100))
    data[0] = 0
    data[1] = 65535
    const window = autoWindow({ height: 100, width: 100, channels: 1, bits: 16, data })
    expect(window.low).toBeGreaterThanOrEqual(1000)
    expect(window.high).toBeLessThanOrEqual(1099)
    expect(window.high - window.low).toBeGreaterThan(90)
    const flat = new Uint8Array(100).fill(7)
    expect(autoWindow({ height: 10, width: 10, channels: 1, bits: 8, data: flat })).toEqual({
      low: 7,
      high: 8,
    })
  })

  it('shrinks to the edge and keeps the shape', () => {
    const data = new Uint8Array(100 * 50 * 3).fill(9)
    const small = shrink({ height: 100, width: 50, channels: 3, bits: 8, data }, 20)
    expect(small).toMatchObject({ height: 20, width: 10, channels: 3 })
    expect(small.data.length).toBe(600)
    expect(shrink(small, 64)).toMatchObject({ height: 20, width: 10 })
  })
})

describe('mask colours', () => {
  const colours = new Map([
    [0, '#808080'],
    [1, '#ff0000'],
  ])

  it('outlines a class, fills its inside and leaves the background clear', () => {
    const mask = blankMask(5, 5, 0)
    for (let y = 1; y < 4; y++) mask.data.fill(1, y * 5 + 1, y * 5 + 4)
    const palette = makePalette({ colours, opacity: 0.5, clear: [0, 255] })
    const pixels = new Uint32Array(maskPixels(mask, palette, whole(5, 5), 0).buffer)
    expect(pixels[0]).toBe(0)
    expect(pixels[6]).toBe(palette.edge[1])
    expect(pixels[12]).toBe(rgba('#ff0000', 0.5))
  })

  it('hatches the unknown on request only', () => {
    const mask = blankMask(8, 8, 255)
    const palette = makePalette({ colours, opacity: 0.5, clear: [255] })
    const count = (hatch: number) =>
      new Uint32Array(maskPixels(mask, palette, whole(8, 8), hatch).buffer).filter((p) => p !== 0)
        .length
    expect(count(0)).toBe(0)
    expect(count(0x80ffffff)).toBe(16)
  })

  it('paints a part as it paints the whole', () => {
    const mask = blankMask(20, 20, 0)
    mask.data.forEach((_, i) => {
      mask.data[i] = (i * 7) % 3 === 0 ? 1 : 0
    })
    const palette = makePalette({ colours, opacity: 0.5, clear: [0] })
    const all = new Uint32Array(maskPixels(mask, palette, whole(20, 20), 0).buffer)
    const part = { y0: 3, x0: 5, y1: 17, x1: 20 }
    const some = new Uint32Array(maskPixels(mask, palette, part, 0).buffer)
    for (let y = 3; y < 17; y++) {
      for (let x = 5; x < 20; x++) expect(some[(y - 3) * 15 + x - 5]).toBe(all[y * 20 + x])
    }
  })
})

describe('outlines', () => {
  it('has every side at which a class ends, and none inside', () => {
    const mask = blankMask(4, 4, 0)
    for (const i of [5, 6, 9]) mask.data[i] = 1 // an L of three pixels
    const colours = new Map([[1, '#ff0000']])
    const palette = makePalette({ colours, opacity: 0.5, clear: [0] })
    const sides = outlines(mask, palette, whole(4, 4)).get(1)!
    expect(sides.length / 4).toBe(8)
    expect(outlines(mask, palette, whole(4, 4)).has(0)).toBe(false)
    // A class that reaches the border of the image ends there.
    mask.data.fill(1)
    expect(outlines(mask, palette, whole(4, 4)).get(1)!.length / 4).toBe(16)
  })
})

describe('view', () => {
  const image = { height: 200, width: 400 }
  const screen = { height: 500, width: 500 }

  it('fits and centres', () => {
    const view = fit(image, screen)
    expect(toScreen(view, { y: 100, x: 200 })).toEqual({ y: 250, x: 250 })
    expect(view.scale).toBeCloseTo(476 / 400)
  })

  it('zooms about the pointer', () => {
    const before = fit(image, screen)
    const at = { y: 300, x: 320 }
    const after = zoomAt(before, 3, at, image, screen)
    expect(toImage(after, at).y).toBeCloseTo(toImage(before, at).y)
    expect(toImage(after, at).x).toBeCloseTo(toImage(before, at).x)
  })

  it('stays where it is at the largest zoom', () => {
    const at = { y: 250, x: 250 }
    let view = fit(image, screen)
    for (let i = 0; i < 20; i++) view = zoomAt(view, 1.7, at, image, screen)
    expect(toImage(view, at).y).toBeCloseTo(100)
    expect(toImage(view, at).x).toBeCloseTo(200)
  })

  it('never loses the image', () => {
    let view = fit(image, screen)
    view = pan(view, 1e6, -1e6, image, screen)
    expect(view.y).toBeLessThan(screen.height)
    expect(view.x + image.width * view.scale).toBeGreaterThan(0)
    for (let i = 0; i < 100; i++) view = zoomAt(view, 0.5, { y: 0, x: 0 }, image, screen)
    expect(view.scale).toBeGreaterThan(0.4)
  })

  it('covers what an image rectangle shows', () => {
    const view = { scale: 0.37, y: 3.2, x: -7.9 }
    const rect = { y0: 10, x0: 20, y1: 30, x1: 60 }
    const seen = screenRect(view, rect)
    const corner = toScreen(view, { y: 30, x: 60 })
    expect(seen.y1).toBeGreaterThan(corner.y)
    expect(seen.x1).toBeGreaterThan(corner.x)
  })
})
