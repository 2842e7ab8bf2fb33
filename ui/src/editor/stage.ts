// The canvases: image, prediction, uncertainty and mask below one another, drawn to one on the screen.
// A stroke repaints the rectangle that it touched and nothing else.

import { cssColour, heatPixels, makePalette, maskPixels, outlines, type Palette } from './colours'
import type { Mask } from './mask'
import type { Picture } from './png'
import type { Rect } from './rect'
import { clip } from './rect'
import { tonePixels, toneTable, type Window } from './tone'
import { type Size, screenRect, type View } from './view'

const TILE = 512
const PIXELATED_FROM = 4
const LINES_FROM = 2.5
const LINE = 1.5
const GROUND = { light: '#d5dade', dark: '#0a0d10' }

export interface Stage {
  readonly screen: HTMLCanvasElement
  resize(size: Size, ratio: number): void
  setImage(picture: Picture, window: Window): void
  setWindow(window: Window): void
  setMask(mask: Mask, palette: Palette, hatch: number): void
  setMaskOpacity(opacity: number): void
  setPrediction(prediction: Uint8Array | null, colours: ReadonlyMap<number, string>): void
  setUncertainty(values: Uint8Array | null): void
  setOverlays(overlays: Overlays): void
  /** Blur the image's pixels into one another also where they are large. */
  setSmooth(isSmooth: boolean): void
  setDark(isDark: boolean): void
  /** Bring a rectangle of the mask to its canvas and to the screen. */
  repaint(view: View, dirty: Rect): void
  /** Draw everything. */
  draw(view: View): void
}

export interface Overlays {
  mask: boolean
  prediction: number
  uncertainty: number
}

/** One canvas for a part of the mask: Chromium copies a canvas that is written after it was drawn. */
interface Tile {
  rect: Rect
  context: CanvasRenderingContext2D
  /** Whether the outline is painted as pixels; close by, it is drawn as lines instead. */
  isEdged: boolean
}

export function makeStage(screen: HTMLCanvasElement): Stage {
  const context = contextOf(screen, false)
  let ratio = 1
  let isDark = false
  let isSmooth = true
  let picture: Picture | null = null
  let levels: HTMLCanvasElement[] = []
  let mask: Mask | null = null
  let palette: Palette = makePalette({ colours: new Map(), opacity: 0, clear: [] })
  let hatch = 0
  let maskOpacity = 1
  let tiles: Tile[] = []
  let prediction: HTMLCanvasElement | null = null
  let uncertainty: HTMLCanvasElement | null = null
  let overlays: Overlays = { mask: true, prediction: 0, uncertainty: 0 }

  const paintTile = (tile: Tile, part: Rect) => {
    if (!mask) return
    const { fill, edge } = palette
    const pixels = maskPixels(mask, { fill, edge: tile.isEdged ? edge : fill }, part, hatch)
    put(tile.context, pixels, part, tile.rect)
  }

  const paintTiles = (dirty: Rect) => {
    for (const tile of tiles) {
      const part = intersect(tile.rect, dirty)
      if (part) paintTile(tile, part)
    }
  }

  const drawLayers = (view: View, dirty: Rect | null) => {
    context.fillStyle = isDark ? GROUND.dark : GROUND.light
    context.fillRect(0, 0, screen.width, screen.height)
    if (!picture) return
    const { height, width } = picture
    const smooth = isSmooth || view.scale < PIXELATED_FROM
    context.imageSmoothingEnabled = smooth
    const level = Math.min(
      levels.length - 1,
      Math.max(0, Math.floor(-Math.log2(view.scale * ratio))),
    )
    const [y, x] = [view.y * ratio, view.x * ratio]
    const [tall, wide] = [height * view.scale * ratio, width * view.scale * ratio]
    context.drawImage(levels[level], x, y, wide, tall)
    context.imageSmoothingEnabled = view.scale * ratio < 1
    drawFaded(prediction, overlays.prediction, x, y, wide, tall)
    context.imageSmoothingEnabled = smooth
    drawFaded(uncertainty, overlays.uncertainty, x, y, wide, tall)
    context.imageSmoothingEnabled = view.scale * ratio < 1
    if (overlays.mask) drawTiles(view, dirty)
  }

  const drawFaded = (
    layer: HTMLCanvasElement | null,
    opacity: number,
    x: number,
    y: number,
    wide: number,
    tall: number,
  ) => {
    if (!layer || opacity <= 0) return
    context.globalAlpha = opacity
    context.drawImage(layer, x, y, wide, tall)
    context.globalAlpha = 1
  }

  const drawTiles = (view: View, dirty: Rect | null) => {
    context.globalAlpha = maskOpacity
    const isEdged = view.scale < LINES_FROM
    for (const tile of tiles) {
      const { rect } = tile
      if (dirty && !intersect(rect, dirty)) continue
      // Whole device pixels, so that neighbouring tiles leave no seam.
      const x0 = Math.round((rect.x0 * view.scale + view.x) * ratio)
      const y0 = Math.round((rect.y0 * view.scale + view.y) * ratio)
      const x1 = Math.round((rect.x1 * view.scale + view.x) * ratio)
      const y1 = Math.round((rect.y1 * view.scale + view.y) * ratio)
      if (x1 <= 0 || y1 <= 0 || x0 >= screen.width || y0 >= screen.height) continue
      if (tile.isEdged !== isEdged) {
        tile.isEdged = isEdged
        paintTile(tile, rect)
      }
      context.drawImage(tile.context.canvas, x0, y0, x1 - x0, y1 - y0)
    }
    if (!isEdged) drawLines(view, dirty)
    context.globalAlpha = 1
  }

  /** The outlines of the classes as lines between pixels that lie in sight. */
  const drawLines = (view: View, dirty: Rect | null) => {
    if (!mask) return
    const step = view.scale * ratio
    const [top, left] = [view.y * ratio, view.x * ratio]
    const seen = {
      y0: Math.floor(-top / step),
      x0: Math.floor(-left / step),
      y1: Math.ceil((screen.height - top) / step),
      x1: Math.ceil((screen.width - left) / step),
    }
    const asked = dirty ? intersect(seen, dirty) : seen
    const part = asked && clip(asked, mask.height, mask.width)
    if (!part) return
    context.lineWidth = LINE * ratio
    for (const [value, lines] of outlines(mask, palette, part)) {
      context.strokeStyle = cssColour(palette.edge[value])
      context.beginPath()
      for (let i = 0; i < lines.length; i += 4) {
        context.moveTo(left + lines[i + 1] * step, top + lines[i] * step)
        context.lineTo(left + lines[i + 3] * step, top + lines[i + 2] * step)
      }
      context.stroke()
    }
  }

  return {
    screen,
    resize(size, pixelRatio) {
      ratio = pixelRatio
      screen.width = Math.max(1, Math.round(size.width * ratio))
      screen.height = Math.max(1, Math.round(size.height * ratio))
    },
    setImage(given, window) {
      picture = given
      levels = pyramid(given, window)
    },
    setWindow(window) {
      if (picture) levels = pyramid(picture, window, levels[0])
    },
    setMask(given, colours, unknown) {
      palette = colours
      hatch = unknown
      const isNew = given !== mask
      mask = given
      if (isNew) tiles = makeTiles(given)
      paintTiles({ y0: 0, x0: 0, y1: given.height, x1: given.width })
    },
    setMaskOpacity(opacity) {
      maskOpacity = opacity
    },
    setPrediction(values, colours) {
      prediction = null
      if (!values || !picture) return
      const { height, width } = picture
      // Mostly an outline, so that it is not taken for the mask.
      const shown = makePalette({ colours, opacity: 0.25, edge: 1, clear: [255] })
      const whole = { y0: 0, x0: 0, y1: height, x1: width }
      prediction = layer(
        height,
        width,
        maskPixels({ height, width, data: values }, shown, whole, 0),
      )
    },
    setUncertainty(values) {
      uncertainty = null
      if (!values || !picture) return
      uncertainty = layer(picture.height, picture.width, heatPixels(values, 0.9))
    },
    setOverlays(given) {
      overlays = given
    },
    setSmooth(smooth) {
      isSmooth = smooth
    },
    setDark(dark) {
      isDark = dark
    },
    repaint(view, dirty) {
      if (!mask) return
      // The outline of a class changes one pixel further out than the class does.
      const grown = clip(dirty, mask.height, mask.width, 1)
      if (!grown) return
      paintTiles(grown)
      const part = screenRect(
        { scale: view.scale * ratio, y: view.y * ratio, x: view.x * ratio },
        grown,
      )
      const seen = clip(part, screen.height, screen.width)
      if (!seen) return
      context.save()
      context.beginPath()
      context.rect(seen.x0, seen.y0, seen.x1 - seen.x0, seen.y1 - seen.y0)
      context.clip()
      // Smoothing reaches a little over the edge of the rectangle, perhaps into the next tile.
      const reach = Math.ceil(3 / Math.min(1, view.scale * ratio)) + 2
      drawLayers(view, clip(grown, mask.height, mask.width, reach))
      context.restore()
    },
    draw(view) {
      drawLayers(view, null)
    },
  }
}

function contextOf(canvas: HTMLCanvasElement, alpha = true): CanvasRenderingContext2D {
  const context = canvas.getContext('2d', { alpha })
  if (!context) throw new Error('this browser cannot draw: it has no 2D canvas')
  return context
}

function makeCanvas(height: number, width: number): CanvasRenderingContext2D {
  const canvas = document.createElement('canvas')
  canvas.height = height
  canvas.width = width
  return contextOf(canvas)
}

function put(
  context: CanvasRenderingContext2D,
  pixels: Uint8ClampedArray,
  part: Rect,
  within: Rect,
): void {
  const across = part.x1 - part.x0
  const image = new ImageData(pixels as Uint8ClampedArray<ArrayBuffer>, across)
  context.putImageData(image, part.x0 - within.x0, part.y0 - within.y0)
}

function layer(height: number, width: number, pixels: Uint8ClampedArray): HTMLCanvasElement {
  const context = makeCanvas(height, width)
  const whole = { y0: 0, x0: 0, y1: height, x1: width }
  put(context, pixels, whole, whole)
  return context.canvas
}

/** The picture at full size, half, a quarter ...: shrinking is then quick and free of moiré. */
function pyramid(picture: Picture, window: Window, reuse?: HTMLCanvasElement): HTMLCanvasElement[] {
  const { height, width } = picture
  const base = reuse ? contextOf(reuse) : makeCanvas(height, width)
  const table = toneTable(window, picture.bits)
  const band = Math.max(1, Math.floor((1 << 22) / width))
  for (let y0 = 0; y0 < height; y0 += band) {
    const rect = { y0, x0: 0, y1: Math.min(height, y0 + band), x1: width }
    put(base, tonePixels(picture, table, rect), rect, { y0: 0, x0: 0, y1: height, x1: width })
  }
  const levels = [base.canvas]
  while (Math.max(levels.at(-1)!.height, levels.at(-1)!.width) > 1024) {
    const last = levels.at(-1)!
    const next = makeCanvas(Math.ceil(last.height / 2), Math.ceil(last.width / 2))
    next.drawImage(last, 0, 0, next.canvas.width, next.canvas.height)
    levels.push(next.canvas)
  }
  return levels
}

function makeTiles(mask: Mask): Tile[] {
  const tiles: Tile[] = []
  for (let y0 = 0; y0 < mask.height; y0 += TILE) {
    for (let x0 = 0; x0 < mask.width; x0 += TILE) {
      const rect = {
        y0,
        x0,
        y1: Math.min(mask.height, y0 + TILE),
        x1: Math.min(mask.width, x0 + TILE),
      }
      const context = makeCanvas(rect.y1 - rect.y0, rect.x1 - rect.x0)
      tiles.push({ rect, context, isEdged: true })
    }
  }
  return tiles
}

function intersect(a: Rect, b: Rect): Rect | null {
  const part = {
    y0: Math.max(a.y0, b.y0),
    x0: Math.max(a.x0, b.x0),
    y1: Math.min(a.y1, b.y1),
    x1: Math.min(a.x1, b.x1),
  }
  return part.y1 > part.y0 && part.x1 > part.x0 ? part : null
}
