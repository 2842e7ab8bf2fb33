// Where the image lies on the screen: zoom and pan.

import type { Point } from './mask'
import type { Rect } from './rect'

/** screen = image * scale + offset, in CSS pixels of the canvas. */
export interface View {
  scale: number
  y: number
  x: number
}

export interface Size {
  height: number
  width: number
}

const LARGEST = 64
const MARGIN = 12

export const toImage = (view: View, at: Point): Point => ({
  y: (at.y - view.y) / view.scale,
  x: (at.x - view.x) / view.scale,
})

export const toScreen = (view: View, at: Point): Point => ({
  y: at.y * view.scale + view.y,
  x: at.x * view.scale + view.x,
})

/** The whole image, centred. */
export function fit(image: Size, screen: Size): View {
  const height = Math.max(screen.height - 2 * MARGIN, 1)
  const width = Math.max(screen.width - 2 * MARGIN, 1)
  const scale = Math.min(LARGEST, height / image.height, width / image.width)
  return centre(image, screen, scale)
}

const centre = (image: Size, screen: Size, scale: number): View => ({
  scale,
  y: (screen.height - image.height * scale) / 2,
  x: (screen.width - image.width * scale) / 2,
})

/** Zoom so that the image point under `at` stays under it. */
export function zoomAt(view: View, factor: number, at: Point, image: Size, screen: Size): View {
  const smallest = Math.min(1, fit(image, screen).scale) / 2
  const scale = Math.min(LARGEST, Math.max(smallest, view.scale * factor))
  const ratio = scale / view.scale
  return hold(
    { scale, y: at.y - (at.y - view.y) * ratio, x: at.x - (at.x - view.x) * ratio },
    image,
    screen,
  )
}

/** Move, but keep a corner of the image in sight. */
export function pan(view: View, dy: number, dx: number, image: Size, screen: Size): View {
  return hold({ ...view, y: view.y + dy, x: view.x + dx }, image, screen)
}

function hold(view: View, image: Size, screen: Size): View {
  const keep = 48
  const clamp = (value: number, size: number, room: number) =>
    Math.min(room - keep, Math.max(keep - size * view.scale, value))
  return {
    scale: view.scale,
    y: clamp(view.y, image.height, screen.height),
    x: clamp(view.x, image.width, screen.width),
  }
}

/** The screen rectangle that shows an image rectangle, with a pixel to spare for smoothing. */
export function screenRect(view: View, rect: Rect): Rect {
  const spare = Math.ceil(Math.max(1, view.scale)) + 1
  return {
    y0: Math.floor(rect.y0 * view.scale + view.y) - spare,
    x0: Math.floor(rect.x0 * view.scale + view.x) - spare,
    y1: Math.ceil(rect.y1 * view.scale + view.y) + spare,
    x1: Math.ceil(rect.x1 * view.scale + view.x) + spare,
  }
}
